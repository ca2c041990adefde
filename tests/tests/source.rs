//! The source keeps to the house rules: layers, sizes and words.

use plakbox_tests::tools;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use syn::punctuated::Punctuated;
use syn::visit::Visit;

/// Words of a dialect, for which plain technical English has others.
const BANNED: [&str; 7] =
    ["whoever", "nobody", "somebody", "anew", "in vain", "is no", "makes no sense"];

/// Imperatives with which the remedies in messages begin.
const REMEDY_VERBS: &str = "add ask build change check choose clear close connect copy correct create define delete \
                            disable enable ensure fix give grant import increase install leave let look lower \
                            make mend mount move name pin put raise reconnect reinstall reload remove \
                            rename repeat replace restart restore retry run say see send set start \
                            stop take try unset update upgrade use wait write";

const MAX_LINES: usize = 400;
const MAX_COLUMNS: usize = 120;
const MAX_FILES: usize = 12;

/// All files below a directory with one of these endings.
fn files(directory: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let ending = path.extension().map(|ending| ending.to_string_lossy().into_owned());
        if path.is_dir() {
            found.extend(files(&path, endings));
        } else if ending.is_some_and(|ending| endings.contains(&&*ending)) {
            found.push(path);
        }
    }
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(tools::repository()).unwrap().display().to_string()
}

/// A module's path within its crate, as its segments.
type Module = Vec<String>;

/// What one file imports, by `use` and by paths in its code, tests aside.
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

/// Whether a module in a file is for tests alone.
fn has_cfg_test(item: &syn::ItemMod) -> bool {
    item.attrs.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|ident| ident == "test")
    })
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

/// The files of a crate by their modules.
fn modules(source: &Path) -> BTreeMap<Module, PathBuf> {
    let module = |path: &Path| {
        let name = path.strip_prefix(source).unwrap().with_extension("");
        let mut module: Module =
            name.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let root = module.len() == 1 && ["lib", "main"].contains(&&*module[0]);
        if root || module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        module
    };
    files(source, &["rs"]).into_iter().map(|path| (module(&path), path)).collect()
}

/// Whether a module is for tests alone.
fn is_test(module: &Module) -> bool {
    module.iter().any(|name| name == "tests" || name == "fuzzing")
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

#[test]
fn files_folders_and_lines_are_small() {
    for source in ["host/src", "guest/src"] {
        let mut folders: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for path in files(&tools::repository().join(source), &["rs"]) {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().count();
            assert!(lines <= MAX_LINES, "{} has {lines} lines", shown(&path));
            let columns = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
            assert!(columns <= MAX_COLUMNS, "{} has a line of {columns} columns", shown(&path));
            *folders.entry(path.parent().unwrap().to_owned()).or_default() += 1;
        }
        for (folder, count) in folders {
            assert!(count <= MAX_FILES, "{} has {count} files", shown(&folder));
        }
    }
}

#[test]
fn no_words_of_a_dialect_are_used() {
    let repository = tools::repository();
    let mut all = vec![repository.join("README.md"), repository.join("CONTRIBUTING.md")];
    for directory in ["host/src", "guest/src", "wit", "docs"] {
        all.extend(files(&repository.join(directory), &["rs", "md", "wit"]));
    }
    let mut found = Vec::new();
    for path in all {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let line = line.to_lowercase().replace("is no longer", "").replace("there is no", "");
            let words =
                format!(" {line} ").replace(|it: char| !it.is_alphanumeric() && it != '_', " ");
            let banned = BANNED.iter().filter(|word| words.contains(&format!(" {word} ")));
            found.extend(banned.map(|word| format!("{}:{}: {word}", shown(&path), number + 1)));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// All texts in the code of a file, those for tests aside. Of macros, only those are read whose
/// arguments are expressions, as those of `format!`.
#[derive(Default)]
struct Texts(Vec<String>);

impl Texts {
    fn visit_tokens(&mut self, parsed: syn::Result<Punctuated<syn::Expr, syn::Token![,]>>) {
        parsed.into_iter().flatten().for_each(|argument| self.visit_expr(&argument));
    }
}

impl<'ast> Visit<'ast> for Texts {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !has_cfg_test(item) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("error") {
            // Its other arguments are not always expressions.
            let _ = attribute.parse_args_with(|input: syn::parse::ParseStream<'_>| {
                self.0.extend(input.parse::<syn::LitStr>().ok().map(|text| text.value()));
                Ok(())
            });
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_tokens(call.parse_body_with(Punctuated::parse_terminated));
    }

    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.0.push(text.value());
    }
}

/// The remedy that a message has in it instead of in its help: an imperative after a colon.
fn find_remedy(message: &str) -> Option<&str> {
    message.match_indices([':', ';']).find_map(|(at, _)| {
        let remedy = message[at + 1..].strip_prefix(' ')?;
        let (verb, _) = remedy.split_once(' ')?;
        let is_remedy = REMEDY_VERBS.split(' ').any(|it| it == verb);
        (is_remedy && !message[..at].ends_with("; help")).then_some(remedy)
    })
}

#[test]
fn what_the_user_can_do_is_the_help_of_a_failure_and_not_part_of_its_message() {
    assert_eq!(
        find_remedy("`x` can't be read: denied: make it readable"),
        Some("make it readable")
    );
    assert_eq!(find_remedy("`x` has changed; help: restart the service"), None);
    assert_eq!(find_remedy("it can't be read: no such file"), None);
    let mut found = Vec::new();
    for source in ["host/src", "guest/src"] {
        for (module, path) in modules(&tools::repository().join(source)) {
            if is_test(&module) {
                continue;
            }
            let mut texts = Texts::default();
            texts.visit_file(&syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap());
            let remedies = texts
                .0
                .iter()
                .filter_map(|text| find_remedy(text).map(|it| format!("{}: {it}", shown(&path))));
            found.extend(remedies);
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
