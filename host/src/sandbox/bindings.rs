//! The bindings of the WIT world `connector`, over the types of [`crate::connector`].

wasmtime::component::bindgen!({
    path: "../wit",
    world: "connector",
    imports: { default: async | store | trappable },
    exports: { default: async | store },
    with: {
        "plakar:connector/types": crate::connector::types,
        "plakar:connector/rclone.reader": crate::rclone::Reader,
        "plakar:connector/rclone.batch": crate::rclone::Batch,
    },
    additional_derives: [PartialEq],
});
