//! `wit/` is a package that others can use, and docs/contract.md says what it says.

use plakbox_tests::contract::{self, Contract};
use plakbox_tests::tools;
use std::{env, fs};
use wit_component::DecodedWasm;

#[test]
fn everything_in_it_has_a_comment() {
    let mut contract = Contract::parse();
    contract.page();
    assert_eq!(contract.silent, Vec::<String>::new());
}

#[test]
fn it_is_one_package_with_a_version_as_registries_take_them() {
    let bytes = Contract::parse().encode();
    let DecodedWasm::WitPackage(resolve, id) = wit_component::decode(&bytes).unwrap() else {
        panic!("it isn't a package");
    };
    let package = &resolve.packages[id];
    assert_eq!(package.name.to_string(), "plakar:connector@0.2.0");
    assert_eq!(package.worlds.keys().collect::<Vec<_>>(), ["connector", "storage"]);
    assert_eq!(resolve.packages.len(), 1, "it needs another package");
    let named = |file: fs::DirEntry| {
        let text = fs::read_to_string(file.path()).unwrap();
        text.lines().filter(|line| line.starts_with("package ")).count()
    };
    let lines: usize = fs::read_dir(contract::directory()).unwrap().flatten().map(named).sum();
    assert_eq!(lines, 1, "the package is named in several places");
}

#[test]
fn the_page_about_it_is_up_to_date() {
    let page = Contract::parse().page();
    let path = tools::repository().join("docs/contract.md");
    if env::var_os("PLAKBOX_WRITE").is_some() {
        fs::write(&path, page).unwrap();
    } else {
        let have = fs::read_to_string(&path).unwrap_or_default();
        assert!(have == page, "docs/contract.md isn't what wit/ says: run `just contract`");
    }
}
