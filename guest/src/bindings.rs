//! The contract's types and functions, generated from `wit/`.

wit_bindgen::generate!({ path: "../wit", world: "storage", generate_all });
