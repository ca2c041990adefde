//! docs/contract.md, made from the comments in `wit/`. The generator of wit-bindgen makes a page for
//! each world, without `async` and without the comments of exported interfaces.

use std::fmt::Write;
use std::path::PathBuf;
use wit_parser::{
    Docs, Function, FunctionKind, Handle, Interface, PackageId, Resolve, Result_, Type, TypeDef,
    TypeDefKind, WorldItem,
};

use crate::tools;

/// The beginning of the page.
const HEAD: &str = "\
# The contract

<!-- Made from wit/ by `just contract`: change the comments there. -->
";

/// The package in `wit/`.
pub struct Contract {
    resolve: Resolve,
    package: PackageId,
    /// Items without a comment, by their full names.
    pub silent: Vec<String>,
}

/// The directory of the package.
pub fn directory() -> PathBuf {
    tools::repository().join("wit")
}

impl Contract {
    /// Parses the package.
    pub fn parse() -> Self {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(directory()).unwrap();
        Self { resolve, package, silent: Vec::new() }
    }

    /// The package in the form in which registries keep it.
    pub fn encode(&self) -> Vec<u8> {
        wit_component::encode(&self.resolve, self.package).unwrap()
    }

    /// The page. Notes what has no comment.
    pub fn page(&mut self) -> String {
        let package = &self.resolve.packages[self.package];
        let name = package.name.to_string();
        let docs = package.docs.clone();
        let worlds = ["connector", "storage"].map(|name| package.worlds[name]);
        let interfaces: Vec<Interface> =
            package.interfaces.values().map(|id| self.resolve.interfaces[*id].clone()).collect();
        let mut page = format!("{HEAD}\n`{name}`: {}\n", self.said(&docs, &name));
        for world in worlds {
            page += &self.world(world);
        }
        let names = ["importer", "exporter", "store", "rclone", "objects", "cache", "types"];
        for name in names {
            let interface = interfaces.iter().find(|it| it.name.as_deref() == Some(name)).unwrap();
            page += &self.interface(name, interface);
        }
        assert_eq!(interfaces.len(), names.len(), "an interface is missing on the page");
        page
    }

    fn world(&mut self, id: wit_parser::WorldId) -> String {
        let world = self.resolve.worlds[id].clone();
        let mut page = format!(
            "\n## World `{}`\n\n{}\n\n",
            world.name,
            self.said(&world.docs, &format!("world {}", world.name))
        );
        for (items, verb) in [(&world.imports, "imports"), (&world.exports, "exports")] {
            for item in items.values() {
                let WorldItem::Interface { id, .. } = item else {
                    panic!("the world {verb} something that isn't an interface")
                };
                let name = self.resolve.interfaces[*id].name.as_deref().unwrap();
                let _ = writeln!(page, "- {verb} [`{name}`](#{name})");
            }
        }
        page
    }

    fn interface(&mut self, name: &str, interface: &Interface) -> String {
        let mut page = format!("\n## `{name}`\n\n{}\n", self.said(&interface.docs, name));
        for function in interface.functions.values() {
            if function.kind.resource().is_none() {
                page += &self.function(name, function);
            }
        }
        for (title, id) in &interface.types {
            let ty = self.resolve.types[*id].clone();
            // What comes from another interface is described there.
            if !matches!(ty.kind, TypeDefKind::Type(Type::Id(_))) {
                page += &self.definition(name, title, &ty);
                let of_it = |it: &&Function| it.kind.resource() == Some(*id);
                for function in interface.functions.values().filter(of_it) {
                    page += &self.function(&format!("{name}.{title}"), function);
                }
            }
        }
        page
    }

    fn function(&mut self, owner: &str, function: &Function) -> String {
        let name = function.item_name();
        let of =
            owner.split_once('.').map_or(String::new(), |(_, resource)| format!("{resource}."));
        let said = self.said(&function.docs, &format!("{owner}.{name}"));
        let signature = self.signature(function);
        format!("\n### `{of}{name}`\n\n```wit\n{name}: {signature}\n```\n\n{said}\n")
    }

    fn signature(&self, function: &Function) -> String {
        let is_method =
            matches!(function.kind, FunctionKind::Method(_) | FunctionKind::AsyncMethod(_));
        let params: Vec<_> = function.params[usize::from(is_method)..]
            .iter()
            .map(|param| format!("{}: {}", param.name, self.name(&param.ty)))
            .collect();
        let kept = match function.kind {
            FunctionKind::Static(_) | FunctionKind::AsyncStatic(_) => "static ",
            _ => "",
        };
        let asynchronous = if function.kind.is_async() { "async " } else { "" };
        let result = function.result.map(|ty| format!(" -> {}", self.name(&ty)));
        let (params, result) = (params.join(", "), result.unwrap_or_default());
        format!("{kept}{asynchronous}func({params}){result}")
    }

    fn definition(&mut self, owner: &str, title: &str, ty: &TypeDef) -> String {
        let whole = format!("{owner}.{title}");
        let mut page = format!(
            "\n### {} `{title}`\n\n{}\n",
            ty.kind.as_str().replace("tuple", "type"),
            self.said(&ty.docs, &whole)
        );
        let rows: Vec<(&str, String, &Docs)> = match &ty.kind {
            TypeDefKind::Record(record) => {
                let row = |it: &'_ wit_parser::Field| self.name(&it.ty);
                record.fields.iter().map(|it| (it.name.as_str(), row(it), &it.docs)).collect()
            }
            TypeDefKind::Variant(variant) => {
                let row = |ty: Option<Type>| ty.map(|ty| self.name(&ty)).unwrap_or_default();
                variant.cases.iter().map(|it| (it.name.as_str(), row(it.ty), &it.docs)).collect()
            }
            TypeDefKind::Enum(cases) => {
                cases.cases.iter().map(|it| (it.name.as_str(), String::new(), &it.docs)).collect()
            }
            TypeDefKind::Resource => Vec::new(),
            alias => {
                let _ = write!(page, "\n```wit\ntype {title} = {}\n```\n", self.kind(alias));
                Vec::new()
            }
        };
        let rows: Vec<_> =
            rows.into_iter().map(|(name, ty, docs)| (name.to_owned(), ty, docs.clone())).collect();
        if !rows.is_empty() {
            page += "\n| | | |\n| --- | --- | --- |\n";
        }
        for (name, ty, docs) in rows {
            let said = self.said(&docs, &format!("{whole}.{name}")).replace('\n', " ");
            let ty = if ty.is_empty() { ty } else { format!("`{ty}`") };
            let _ = writeln!(page, "| `{name}` | {ty} | {} |", said.replace('|', "\\|"));
        }
        page
    }

    /// The comment of something; notes where there is none.
    fn said(&mut self, docs: &Docs, of: &str) -> String {
        match &docs.contents {
            Some(text) => text.trim().to_owned(),
            None => {
                self.silent.push(of.to_owned());
                String::new()
            }
        }
    }

    /// A type as it is written in WIT.
    fn name(&self, ty: &Type) -> String {
        match ty {
            Type::Id(id) => match &self.resolve.types[*id] {
                TypeDef { name: Some(name), .. } => name.clone(),
                ty => self.kind(&ty.kind),
            },
            plain => format!("{plain:?}").to_lowercase(),
        }
    }

    fn kind(&self, kind: &TypeDefKind) -> String {
        let inner = |ty: &Option<Type>| ty.map_or("_".to_owned(), |ty| self.name(&ty));
        match kind {
            TypeDefKind::Option(ty) => format!("option<{}>", self.name(ty)),
            TypeDefKind::List(ty) => format!("list<{}>", self.name(ty)),
            TypeDefKind::Stream(ty) => format!("stream<{}>", inner(ty)),
            TypeDefKind::Future(ty) => format!("future<{}>", inner(ty)),
            TypeDefKind::Result(Result_ { ok, err }) => {
                format!("result<{}, {}>", inner(ok), inner(err))
            }
            TypeDefKind::Tuple(tuple) => {
                let types: Vec<_> = tuple.types.iter().map(|ty| self.name(ty)).collect();
                format!("tuple<{}>", types.join(", "))
            }
            TypeDefKind::Handle(Handle::Own(id)) => self.name(&Type::Id(*id)),
            TypeDefKind::Handle(Handle::Borrow(id)) => {
                format!("borrow<{}>", self.name(&Type::Id(*id)))
            }
            other => panic!("the page has no words for a {}", other.as_str()),
        }
    }
}
