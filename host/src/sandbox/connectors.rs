//! Connectors: components that may run, one alone or all those of a service.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::component::InstancePre;
use wasmtime::{Engine, PoolingAllocationConfig, Store};

use super::bindings::exports::plakar::connector::{exporter, importer};
use super::bindings::storage::exports::plakar::connector::store;
use super::bindings::storage::{Storage, StorageIndices};
use super::bindings::{Connector as Exports, ConnectorIndices};
use super::engine::{HostState, engine};
use super::import_allowlist::ComponentInterface;
use super::limits;
use super::linker::linker;
use super::loader::{self, CodeSource};
use crate::connector::Failure;

/// The export of a component that can hold a Kloset store.
const STORE: &str = "plakar:connector/store@0.2.0";

/// A component that may run.
pub struct Connector {
    engine: Engine,
    pre: ConnectorPre,
}

/// A component, linked and ready to be instantiated.
#[derive(Clone)]
pub struct ConnectorPre {
    pre: InstancePre<HostState>,
    exports: ConnectorIndices,
    /// The exports of a component that can hold a store.
    storage: Option<StorageIndices>,
}

/// The exports of one instance.
pub struct Instance {
    exports: Exports,
    storage: Option<Storage>,
}

impl ConnectorPre {
    fn new(pre: InstancePre<HostState>, interface: &ComponentInterface) -> wasmtime::Result<Self> {
        let exports = ConnectorIndices::new(&pre)?;
        let is_store = interface.exports.iter().any(|name| name == STORE);
        let storage = is_store.then(|| StorageIndices::new(&pre)).transpose()?;
        Ok(Self { pre, exports, storage })
    }

    /// Makes an instance.
    pub async fn instantiate(&self, store: &mut Store<HostState>) -> wasmtime::Result<Instance> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let exports = self.exports.load(&mut *store, &instance)?;
        let storage = self.storage.as_ref().map(|storage| storage.load(&mut *store, &instance));
        Ok(Instance { exports, storage: storage.transpose()? })
    }
}

impl Instance {
    /// Returns the exported importer.
    pub fn importer(&self) -> &importer::Guest {
        self.exports.plakar_connector_importer()
    }

    /// Returns the exported exporter.
    pub fn exporter(&self) -> &exporter::Guest {
        self.exports.plakar_connector_exporter()
    }

    /// Returns the exported store.
    ///
    /// # Errors
    ///
    /// Fails if the component doesn't export one.
    pub fn store(&self) -> wasmtime::Result<&store::Guest> {
        let storage = self.storage.as_ref();
        let storage = storage.ok_or_else(|| wasmtime::format_err!("it doesn't export a store"))?;
        Ok(storage.plakar_connector_store())
    }
}

impl Connector {
    /// Loads the component at `path`.
    ///
    /// # Errors
    ///
    /// Fails if the file isn't a component, or it imports something that isn't granted.
    pub fn load(path: &Path, source: CodeSource) -> Result<Self, Failure> {
        let engine = engine(None)?;
        limits::start_epoch_clock(&engine);
        Self::load_for(engine, path, source)
    }

    fn load_for(engine: Engine, path: &Path, source: CodeSource) -> Result<Self, Failure> {
        let component = loader::load(&engine, path, source)?;
        let refused = |why: Failure| {
            why.with_context(format_args!("the component `{}` is refused", path.display()))
        };
        let interface = ComponentInterface::new(&component, &engine);
        interface.check().map_err(|error| refused(error.into_failure()))?;
        let linker = linker(&engine).map_err(|error| Failure::internal(format!("{error:#}")))?;
        let pre = linker
            .instantiate_pre(&component)
            .and_then(|pre| ConnectorPre::new(pre, &interface))
            .map_err(|error| refused(Failure::denied(format!("{error:#}"))))?;
        Ok(Self { engine, pre })
    }

    /// Returns the engine that runs the component.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns the component, linked and ready to be instantiated.
    pub fn pre(&self) -> &ConnectorPre {
        &self.pre
    }

    /// Returns whether the component can hold a Kloset store.
    pub fn can_store(&self) -> bool {
        self.pre.storage.is_some()
    }
}

/// The connectors of a service: one engine, whose instances come from a pool, and each
/// connector loaded once.
pub struct Connectors {
    engine: Engine,
    /// The directory of `PROTOCOL.wasm`.
    directory: PathBuf,
    loaded: Mutex<BTreeMap<String, Arc<Connector>>>,
}

impl Connectors {
    /// Makes the connectors of a directory, for at most `sessions` instances at the same time
    /// of at most `memory` bytes each.
    ///
    /// # Errors
    ///
    /// Fails if the pool can't be allocated.
    pub fn new(directory: PathBuf, sessions: u32, memory: usize) -> Result<Self, Failure> {
        let mut pool = PoolingAllocationConfig::new();
        // The next session may start a moment before the last one's instance is dropped.
        let sessions = sessions.saturating_mul(2);
        // A component has a core module of its own and a few that adapt it.
        let modules = sessions.saturating_mul(8);
        pool.total_component_instances(sessions)
            .total_core_instances(modules)
            .total_memories(sessions.saturating_mul(2))
            .total_tables(modules)
            .total_stacks(sessions.saturating_mul(16))
            .max_memories_per_component(2)
            .max_memory_size(memory)
            .table_elements(1 << 14)
            // Nothing of a session is left in memory when the next one gets its slot.
            .linear_memory_keep_resident(0)
            .table_keep_resident(0);
        let engine = engine(Some(pool))?;
        limits::start_epoch_clock(&engine);
        Ok(Self { engine, directory, loaded: Mutex::default() })
    }

    /// Returns the connector of a protocol.
    ///
    /// # Errors
    ///
    /// Fails if there is none, or it may not run.
    pub fn get(&self, protocol: &str) -> Result<Arc<Connector>, Failure> {
        let path = loader::component_path(&self.directory, protocol)?;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connector) = loaded.get(protocol) {
            return Ok(connector.clone());
        }
        let connector = Connector::load_for(self.engine.clone(), &path, CodeSource::Precompiled)?;
        let connector = Arc::new(connector);
        loaded.insert(protocol.to_owned(), connector.clone());
        Ok(connector)
    }
}
