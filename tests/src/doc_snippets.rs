//! The documentation's pages, and what they show.

use std::fs;

use crate::tools;

/// The blocks of `docs/PAGE` in this language.
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let page = fs::read_to_string(tools::repository().join("docs").join(page)).unwrap();
    let fence = format!("```{language}\n");
    let block = |rest: &str| rest.split("```").next().unwrap().to_owned();
    page.split(&fence).skip(1).map(block).collect()
}
