//! A scenario file: flags, written down. Each key is a flag's name, and its value is what would stand behind it, so that
//! a file can say whatever flags can, and is checked in the same way.

use std::ffi::OsString;

use toml::{Table, Value};

/// Reads the text of a file, as arguments.
pub fn arguments(text: &str) -> Result<Vec<OsString>, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    let mut arguments = Vec::new();
    for (name, value) in &table {
        match value {
            Value::Boolean(false) => {}
            Value::Boolean(true) => arguments.push(format!("--{name}").into()),
            value => arguments.push(format!("--{name}={}", written(name, value)?).into()),
        }
    }
    Ok(arguments)
}

fn written(name: &str, value: &Value) -> Result<String, String> {
    Ok(match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Array(values) => {
            let values: Result<Vec<_>, _> = values.iter().map(|value| written(name, value)).collect();
            values?.join(",")
        }
        Value::Boolean(_) | Value::Datetime(_) | Value::Table(_) => {
            return Err(format!("{name}: neither text nor a number"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_flags() {
        let text =
            "clients = 50_000\nduration = \"60s\"\nchurn = 0.01\nproxy = true\nsources = [\"a\", \"b\"]\n";
        let mut found = arguments(text).unwrap();
        found.sort_unstable();
        assert_eq!(found, ["--churn=0.01", "--clients=50000", "--duration=60s", "--proxy", "--sources=a,b"]);
        assert_eq!(arguments("proxy = false").unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_no_flag_is_named() {
        assert!(arguments("[clients]\nmany = 1").unwrap_err().starts_with("clients: "));
        assert!(arguments("clients 1").is_err());
    }
}
