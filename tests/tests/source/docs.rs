//! Everything that a module shares has a doc comment, fields and variants aside. The compiler's lint
//! sees only what leaves the crate.

use plakbox_tests::tools;
use std::fs;
use syn::visit::Visit;
use syn::{Attribute, Ident, Visibility};

use super::{has_cfg_test, is_test, modules, shown};

/// The public items of a file that have no doc comment, by their names.
#[derive(Default)]
struct Undocumented(Vec<String>);

impl Undocumented {
    fn check(&mut self, visibility: &Visibility, attributes: &[Attribute], name: &Ident) {
        let has_doc = attributes.iter().any(|attribute| attribute.path().is_ident("doc"));
        if !has_doc && matches!(visibility, Visibility::Public(_)) {
            self.0.push(name.to_string());
        }
    }
}

fn derives_subcommand(attributes: &[Attribute]) -> bool {
    let mut derives = attributes.iter().filter_map(|attribute| attribute.meta.require_list().ok());
    derives.any(|list| list.tokens.to_string().contains("Subcommand"))
}

impl<'ast> Visit<'ast> for Undocumented {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !has_cfg_test(item) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.check(&item.vis, &item.attrs, &item.sig.ident);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.check(&item.vis, &item.attrs, &item.sig.ident);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.check(&item.vis, &item.attrs, &item.ident);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        // The comment of subcommands would be a part of the help.
        if !derives_subcommand(&item.attrs) {
            self.check(&item.vis, &item.attrs, &item.ident);
        }
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.check(&item.vis, &item.attrs, &item.ident);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.check(&item.vis, &item.attrs, &item.ident);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.check(&item.vis, &item.attrs, &item.ident);
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.check(&item.vis, &item.attrs, &item.ident);
    }
}

#[test]
fn what_a_module_shares_has_a_doc_comment() {
    let mut found = Vec::new();
    for source in ["host/src", "guest/src"] {
        for (module, path) in modules(&tools::repository().join(source)) {
            if is_test(&module) {
                continue;
            }
            let mut undocumented = Undocumented::default();
            undocumented.visit_file(&syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap());
            let names = undocumented.0.into_iter();
            found.extend(names.map(|name| format!("{}: {name}", shown(&path))));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
