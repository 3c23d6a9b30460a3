//! `--backplane`: what joins the rooms of several servers.

use std::str::FromStr;

use super::host_port::HostPort;

/// As a server is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackplaneChoice {
    /// `embedded`: rooms stay in one process.
    Embedded,
    /// `HOST:PORT,…`: Redis nodes that run already.
    Nodes(Vec<HostPort>),
}

/// As `up` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpChoice {
    /// `redis`: Redis nodes that are started too.
    Redis,
    /// What a server may be told.
    Server(BackplaneChoice),
}

impl FromStr for BackplaneChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "embedded" => Ok(Self::Embedded),
            list => {
                let nodes = list.split(',').map(str::parse).collect::<Result<Vec<HostPort>, _>>()?;
                each_once(&nodes)?;
                Ok(Self::Nodes(nodes))
            }
        }
    }
}

/// A node that is told twice would count as two, of which one may die.
pub fn each_once(nodes: &[HostPort]) -> Result<(), String> {
    let twice = nodes.iter().enumerate().find(|(index, node)| nodes[..*index].contains(node));
    twice.map_or(Ok(()), |(_, node)| Err(format!("{node} is there twice")))
}

impl FromStr for UpChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "redis" => Ok(Self::Redis),
            other => other.parse().map(Self::Server),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_one_of_addresses() {
        let BackplaneChoice::Nodes(nodes) = "redis-1:6379,[::1]:6380".parse().unwrap() else {
            panic!("nodes")
        };
        assert_eq!(nodes.iter().map(ToString::to_string).collect::<Vec<_>>(), ["redis-1:6379", "[::1]:6380"]);
        for text in ["redis-1:6379,", "nothing", "", "redis-1:1,redis-2:1,redis-1:1"] {
            assert!(text.parse::<BackplaneChoice>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_up_starts_nodes() {
        assert_eq!("redis".parse(), Ok(UpChoice::Redis));
        assert_eq!("embedded".parse(), Ok(UpChoice::Server(BackplaneChoice::Embedded)));
        assert!("redis".parse::<BackplaneChoice>().is_err());
    }
}
