//! The bindings of the WIT worlds `connector` and `storage`, over the types of [`crate::connector`].

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

/// The bindings of what the world `storage` has in addition.
pub mod storage {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package plakbox:host;

            world storage {
                import plakar:connector/objects@0.2.0;
                export plakar:connector/store@0.2.0;
            }
        ",
        world: "plakbox:host/storage",
        imports: { default: async | store | trappable },
        exports: { default: async | store },
        with: {
            "plakar:connector/types": crate::connector::types,
            "plakar:connector/objects.parcel": crate::rclone::Parcel,
            "plakar:connector/objects.extent": crate::rclone::Extent,
        },
        additional_derives: [PartialEq],
    });
}
