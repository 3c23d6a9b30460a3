//! Log lines go to stderr through an [`Outlet`]: nothing that happens to a terminal may stop an
//! event loop.

use std::io::{self, IsTerminal, Write};

use env_logger::{Builder, Target, WriteStyle};
use log::LevelFilter;

use super::outlet::{Flush, Outlet};

/// Flushes when it is dropped.
pub struct Log(#[allow(dead_code, reason = "it is there to be dropped")] Flush);

impl Log {
    /// Starts logging what `filters` let through (as in `warn,distr_chat::lb=info`).
    pub fn start(filters: &str) -> io::Result<Self> {
        let (outlet, flush) = Outlet::start("log", io::stderr())?;
        let style = if io::stderr().is_terminal() { WriteStyle::Always } else { WriteStyle::Never };
        let target = Target::Pipe(Box::new(Pipe(outlet)));
        Builder::new().parse_filters(filters).target(target).write_style(style).init();
        Ok(Self(flush))
    }
}

/// Where the logger writes; one call is one line.
struct Pipe(Outlet);

impl Write for Pipe {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.say(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Checks what the logger would pass over in silence: a word that is no level is the name of a
/// module to it, and then nothing else is logged.
pub fn filters(text: &str) -> Result<String, String> {
    let directives = text.split_once('/').map_or(text, |(directives, _)| directives);
    for directive in directives.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        let (module, level) = match directive.split_once('=') {
            Some((module, level)) => (Some(module.trim()), level.trim()),
            None if is_ours(directive) => continue,
            None => (None, directive),
        };
        if level.parse::<LevelFilter>().is_err() {
            return Err(format!("'{level}' is none of the levels off, error, warn, info, debug and trace"));
        }
        if module.is_some_and(|module| !is_path(module)) {
            return Err(format!("'{directive}' is not MODULE=LEVEL, such as distr_chat::lb=info"));
        }
    }
    Ok(text.to_owned())
}

fn is_ours(module: &str) -> bool {
    module == "distr_chat" || (module.starts_with("distr_chat::") && is_path(module))
}

fn is_path(module: &str) -> bool {
    !module.is_empty() && module.chars().all(|letter| letter.is_ascii_alphanumeric() || "_:".contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_modules_are_told_from_mistakes() {
        for good in [
            "info",
            "WARN",
            "",
            "warn,distr_chat::lb=info",
            "distr_chat",
            "distr_chat::lb,error",
            "off",
            "info/x,y",
        ] {
            assert_eq!(filters(good).as_deref(), Ok(good));
        }
        for (bad, word) in [
            ("foo", "'foo'"),
            ("info,verbose", "'verbose'"),
            ("distr_chat=loud", "'loud'"),
            ("distr_chat=", "''"),
            ("=info", "'=info'"),
            ("a b=info", "'a b=info'"),
            ("distr_chatter", "'distr_chatter'"),
        ] {
            assert!(filters(bad).is_err_and(|error| error.contains(word)), "{bad}");
        }
    }
}
