//! The types of the WIT interface `types`: plain records and enums without behaviour.

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package plakbox:host;

            world vocabulary {
                import plakar:connector/types@0.2.0;
            }
        ",
        additional_derives: [PartialEq],
    });
}

pub use bindings::plakar::connector::types::*;
