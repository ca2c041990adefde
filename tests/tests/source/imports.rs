//! Rooms import from the rooms above them alone, and files not from each other.

use plakbox_tests::tools;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use syn::visit::Visit;

use super::{Module, has_cfg_test, is_test, modules};

/// The imports of one file, by `use` and by paths in its code, tests aside.
struct Imports {
    module: Module,
    found: BTreeSet<Vec<String>>,
}

impl Imports {
    fn of(path: &Path, module: &Module) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let mut imports = Self { module: module.clone(), found: BTreeSet::new() };
        imports.visit_file(&file);
        imports
    }

    /// Adds a path that starts at the root of the crate, at this module or at the one above it.
    fn add(&mut self, segments: &[String]) {
        let mut here = self.module.clone();
        let mut rest = segments;
        match rest.first().map(String::as_str) {
            Some("crate") => {
                here.clear();
                rest = &rest[1..];
            }
            Some("self" | "super") => {
                while let Some("self" | "super") = rest.first().map(String::as_str) {
                    if rest[0] == "super" {
                        here.pop();
                    }
                    rest = &rest[1..];
                }
            }
            _ => return,
        }
        self.found.insert(here.iter().chain(rest).cloned().collect());
    }

    fn add_tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.add_tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) if name.ident == "self" => self.add(before),
            syn::UseTree::Name(name) => self.add(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.add(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.add(before),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.add_tree(before, tree));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !has_cfg_test(item) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|it| it.ident.to_string()).collect();
        self.add(&segments);
        syn::visit::visit_path(self, path);
    }
}

/// The modules that each module imports from, those for tests aside.
fn edges(source: &Path) -> BTreeMap<Module, BTreeSet<Module>> {
    let modules = modules(source);
    let edges = modules.iter().filter(|(module, _)| !is_test(module)).map(|(module, path)| {
        let found = Imports::of(path, module).found;
        let imported = found.iter().filter_map(|path| {
            let mut prefixes = (1..=path.len()).rev().map(|end| &path[..end]);
            prefixes.find(|prefix| modules.contains_key(*prefix)).map(<[String]>::to_vec)
        });
        (module.clone(), imported.filter(|it| it != module && !is_test(it)).collect())
    });
    edges.collect()
}

/// The table of rooms in docs/architecture.md: each with the rooms that it may import from.
fn table() -> Vec<(String, BTreeSet<String>)> {
    let text = fs::read_to_string(tools::repository().join("docs/architecture.md")).unwrap();
    let (_, rest) = text.split_once("| room | knows | may import |\n").expect("it has no table");
    let rows = rest.lines().skip(1).take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let room = cells[0].trim_matches('`').trim_end_matches(".rs").trim_end_matches('/');
        let imports = cells[2].split(',').map(|it| it.trim().trim_matches('`').to_owned());
        (room.to_owned(), imports.filter(|it| !it.is_empty()).collect())
    };
    rows.map(row).collect()
}

#[test]
fn a_room_imports_only_from_those_that_the_table_names_all_of_them_above_it() {
    let table = table();
    let mut above = BTreeSet::new();
    for (room, imports) in &table {
        assert!(imports.is_subset(&above), "`{room}` may import from rooms below it");
        above.insert(room.clone());
    }
    let allowed: BTreeMap<_, _> = table.into_iter().collect();
    let mut wrong = BTreeSet::new();
    for (module, imported) in edges(&tools::repository().join("host/src")) {
        let Some(room) = module.first() else { continue };
        let Some(allowed) = allowed.get(room) else {
            wrong.insert(format!("`{room}` isn't in the table"));
            continue;
        };
        let rooms = imported.iter().filter_map(|it| it.first()).filter(|it| *it != room);
        wrong.extend(
            rooms.filter(|it| !allowed.contains(*it)).map(|it| format!("{module:?} imports {it}")),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether one module lies in the other.
fn is_parent_and_child(one: &Module, other: &Module) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// The modules that can be reached from one and from which it can be reached.
fn circle(edges: &BTreeMap<Module, BTreeSet<Module>>, start: &Module) -> BTreeSet<Module> {
    let reach = |start: &Module, back: bool| {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![start.clone()];
        while let Some(module) = waiting.pop() {
            let next: Vec<_> = if back {
                let from = edges.iter().filter(|(_, to)| to.contains(&module));
                from.map(|(from, _)| from.clone()).collect()
            } else {
                edges[&module].iter().cloned().collect()
            };
            let new = next.into_iter().filter(|it| reached.insert(it.clone()));
            waiting.extend(new.collect::<Vec<_>>());
        }
        reached
    };
    reach(start, false).intersection(&reach(start, true)).cloned().collect()
}

#[test]
fn no_files_import_from_each_other_but_a_module_and_those_in_it() {
    for source in ["host/src", "guest/src"] {
        let mut edges = edges(&tools::repository().join(source));
        for (module, imported) in &mut edges {
            imported.retain(|it| !is_parent_and_child(it, module));
        }
        let circles: BTreeSet<_> = edges.keys().map(|module| circle(&edges, module)).collect();
        let circles: Vec<_> = circles.into_iter().filter(|circle| !circle.is_empty()).collect();
        assert!(circles.is_empty(), "{source}: {circles:#?}");
    }
}
