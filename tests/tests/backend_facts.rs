//! The host and the guest have the same facts about rclone's backends.

use plakbox_tests::tools;
use std::fs;
use syn::visit::Visit;

/// The literals in the value of the constant of this name in a file of the repository.
#[track_caller]
fn constant(file: &str, name: &str) -> Vec<String> {
    let text = fs::read_to_string(tools::repository().join(file)).unwrap();
    let mut constant = Constant { name, literals: Literals::default() };
    constant.visit_file(&syn::parse_file(&text).unwrap());
    let Literals(literals) = constant.literals;
    assert!(!literals.is_empty(), "{file} has no `{name}`");
    literals
}

struct Constant<'a> {
    name: &'a str,
    literals: Literals,
}

impl<'ast> Visit<'ast> for Constant<'_> {
    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        if item.ident == self.name {
            self.literals.visit_expr(&item.expr);
        }
    }
}

#[derive(Default)]
struct Literals(Vec<String>);

impl<'ast> Visit<'ast> for Literals {
    fn visit_lit(&mut self, literal: &'ast syn::Lit) {
        match literal {
            syn::Lit::Str(text) => self.0.push(text.value()),
            syn::Lit::Int(number) => self.0.push(number.base10_digits().to_owned()),
            _ => {}
        }
    }
}

#[test]
fn the_same_backends_can_hold_no_store() {
    let host = constant("host/src/session/store.rs", "UNSUITABLE_BACKENDS");
    let guest = constant("guest/src/store/mod.rs", "UNSUITABLE_BACKENDS");
    assert_eq!(host, guest);
}

#[test]
fn an_id_of_google_photos_has_the_same_length() {
    let host = constant("host/src/rclone/google_photos.rs", "MIN_ID_BYTES");
    let guest = constant("guest/src/backends/google_photos_names.rs", "MIN_ID_BYTES");
    assert_eq!(host, guest);
}
