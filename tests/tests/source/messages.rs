//! The remedy of a failure is its help, and begins with an imperative.

use plakbox_tests::tools;
use std::collections::BTreeMap;
use std::fs;
use syn::punctuated::Punctuated;
use syn::visit::Visit;
use syn::{Expr, Lit, Token};

use super::{has_cfg_test, is_test, modules, shown};

/// Imperatives with which remedies begin.
const REMEDY_VERBS: &str = "add ask build change check choose clear close connect copy correct create define delete \
                            disable enable ensure fix give grant import increase install keep leave let look lower \
                            make mend mount move name open pin put raise read reconnect reinstall reload remove \
                            rename repeat replace restart restore retry run say see send set start \
                            stop take try unset update upgrade use wait write";

/// Separator of a message and its help.
const SEPARATOR: &str = "; help: ";

fn is_remedy_verb(word: &str) -> bool {
    REMEDY_VERBS.split(' ').any(|verb| verb == word)
}

/// The texts in the code of a file, those for tests aside. Of macros, only those are read whose
/// arguments are expressions, as those of `format!`.
#[derive(Default)]
struct Texts {
    all: Vec<String>,
    /// The helps among them.
    helps: Vec<String>,
    /// Those of constants, by their names.
    constants: BTreeMap<String, String>,
}

impl Texts {
    /// Reads a file.
    fn of(path: &std::path::Path) -> Self {
        let mut texts = Self::default();
        texts.visit_file(&syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap());
        texts
    }
}

/// The name of a path's last segment, in braces.
fn placeholder(path: &syn::ExprPath) -> String {
    path.path.segments.last().map(|name| format!("{{{}}}", name.ident)).unwrap_or_default()
}

/// The text of a format string. The `{}` of constants and variables have their names.
fn format_text(arguments: &[Expr]) -> Option<String> {
    let Expr::Lit(syn::ExprLit { lit: Lit::Str(text), .. }) = arguments.first()? else {
        return None;
    };
    let mut text = text.value();
    for argument in &arguments[1..] {
        let name = match argument {
            Expr::Path(path) => placeholder(path),
            _ => "{_}".to_owned(),
        };
        text = text.replacen("{}", &name, 1);
    }
    Some(text)
}

fn macro_arguments(call: &syn::Macro) -> Vec<Expr> {
    let parsed = call.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
    parsed.into_iter().flatten().collect()
}

/// The texts that an expression may have as its value.
fn values(expr: &Expr) -> Vec<String> {
    match expr {
        Expr::Lit(syn::ExprLit { lit: Lit::Str(text), .. }) => vec![text.value()],
        Expr::Path(path) => vec![placeholder(path)],
        Expr::Macro(call) => format_text(&macro_arguments(&call.mac)).into_iter().collect(),
        Expr::Reference(inner) => values(&inner.expr),
        Expr::MethodCall(call) => values(&call.receiver),
        Expr::Call(call) => call.args.iter().flat_map(values).collect(),
        Expr::Match(cases) => cases.arms.iter().flat_map(|arm| values(&arm.body)).collect(),
        Expr::Block(block) => last_values(&block.block),
        Expr::If(choice) => {
            let otherwise = choice.else_branch.iter().flat_map(|(_, expr)| values(expr));
            last_values(&choice.then_branch).into_iter().chain(otherwise).collect()
        }
        _ => Vec::new(),
    }
}

fn last_values(block: &syn::Block) -> Vec<String> {
    match block.stmts.last() {
        Some(syn::Stmt::Expr(expr, None)) => values(expr),
        _ => Vec::new(),
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
                self.all.extend(input.parse::<syn::LitStr>().ok().map(|text| text.value()));
                Ok(())
            });
        }
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        if let Expr::Lit(syn::ExprLit { lit: Lit::Str(text), .. }) = &*item.expr {
            self.constants.insert(item.ident.to_string(), text.value());
        }
        syn::visit::visit_item_const(self, item);
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if let (syn::Pat::Ident(name), Some(init)) = (&local.pat, &local.init)
            && name.ident == "help"
        {
            self.helps.extend(values(&init.expr));
        }
        syn::visit::visit_local(self, local);
    }

    fn visit_field_value(&mut self, field: &'ast syn::FieldValue) {
        if matches!(&field.member, syn::Member::Named(name) if name == "help") {
            self.helps.extend(values(&field.expr));
        }
        syn::visit::visit_field_value(self, field);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == "with_help" {
            self.helps.extend(call.args.iter().flat_map(values));
        }
        syn::visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let arguments = macro_arguments(call);
        self.all.extend(format_text(&arguments));
        arguments.iter().for_each(|argument| self.visit_expr(argument));
    }

    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.all.push(text.value());
    }
}

/// The remedy that a message has in it instead of in its help: an imperative after a colon.
fn find_remedy(message: &str) -> Option<&str> {
    message.match_indices([':', ';']).find_map(|(at, _)| {
        let remedy = message[at + 1..].strip_prefix(' ')?;
        let (verb, _) = remedy.split_once(' ')?;
        (is_remedy_verb(verb) && !message[..at].ends_with("; help")).then_some(remedy)
    })
}

/// Whether a help begins with an imperative. What it begins with may be the value of a variable.
fn is_imperative(help: &str) -> bool {
    help.starts_with('{') || is_remedy_verb(help.split(' ').next().unwrap_or_default())
}

/// Calls a function with the texts of each file. In them, constants have their values.
fn for_each_file(mut check: impl FnMut(&str, &Texts)) {
    for source in ["host/src", "guest/src"] {
        let modules = modules(&tools::repository().join(source));
        let paths = modules.iter().filter(|(module, _)| !is_test(module)).map(|(_, path)| path);
        let files: Vec<_> = paths.map(|path| (shown(path), Texts::of(path))).collect();
        let global: BTreeMap<_, _> = files.iter().flat_map(|(_, texts)| &texts.constants).collect();
        for (path, texts) in &files {
            let value = |text: &String| {
                texts
                    .constants
                    .iter()
                    .chain(global.clone())
                    .fold(text.clone(), |text, (name, value)| {
                        text.replace(&format!("{{{name}}}"), value)
                    })
            };
            let all = texts.all.iter().map(value).collect();
            let helps = texts.helps.iter().map(value).collect();
            check(path, &Texts { all, helps, constants: BTreeMap::new() });
        }
    }
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
    for_each_file(|path, texts| {
        let remedies = texts.all.iter().filter_map(|text| find_remedy(text));
        found.extend(remedies.map(|remedy| format!("{path}: {remedy}")));
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_help_begins_with_an_imperative() {
    let (mut found, mut count) = (Vec::new(), 0);
    for_each_file(|path, texts| {
        let in_messages = texts.all.iter().filter_map(|text| text.split_once(SEPARATOR));
        let helps: Vec<_> = in_messages
            .map(|(_, help)| help)
            .chain(texts.helps.iter().map(String::as_str))
            .collect();
        count += helps.len();
        // Those of metrics are descriptions.
        let wrong =
            helps.into_iter().filter(|help| !is_imperative(help) && !path.ends_with("/metrics.rs"));
        found.extend(wrong.map(|help| format!("{path}: {help}")));
    });
    assert!(count >= 100, "{count}");
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_value_of_a_constant_is_read_in_a_message() {
    let file = "const HOW: &str = \"run it again\";\n\
                fn fail() -> String { format!(\"it failed: {HOW}\") + &format!(\"{}: {}\", 1, HOW) }";
    let mut texts = Texts::default();
    texts.visit_file(&syn::parse_file(file).unwrap());
    assert_eq!(texts.constants["HOW"], "run it again");
    assert!(texts.all.contains(&"it failed: {HOW}".to_owned()), "{:?}", texts.all);
    assert!(texts.all.contains(&"{_}: {HOW}".to_owned()), "{:?}", texts.all);
}
