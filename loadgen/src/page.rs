//! The report as a page.
use crate::report::Report;
use std::fmt;
/// A page.
pub struct Page<'a>(pub &'a Report);
impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
