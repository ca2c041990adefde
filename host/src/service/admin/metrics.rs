//! What Prometheus is shown: what is counted of each tenant, and what is there at present.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;

use crate::quota::counters::{Count, Counters};
use crate::service::server::rejections::Rejections;
use crate::service::tenants::runtime::TenantRuntime;

/// How something is counted, what it is called, and what it is.
type Counted = (Count, MetricType, &'static str, &'static str);

/// What something that is there for a while is called, what it is, and how much there is.
type Present<'a> = (&'static str, &'static str, &'a dyn Fn(&TenantRuntime) -> f64);

const COUNTED: [Counted; 15] = [
    (Count::BytesOut, MetricType::Counter, "rclone_read_bytes", "Bytes that rclone gave"),
    (Count::BytesIn, MetricType::Counter, "rclone_written_bytes", "Bytes that rclone was given"),
    (Count::Entries, MetricType::Counter, "entries", "Entries that were found or written"),
    (
        Count::Started,
        MetricType::Counter,
        "rclone_started",
        "Processes of rclone that were started",
    ),
    (Count::Failed, MetricType::Counter, "rclone_failures", "Processes of rclone that ended badly"),
    (Count::Running, MetricType::Gauge, "rclone_processes", "Processes of rclone that are running"),
    (Count::Computed, MetricType::Counter, "component_cpu_seconds", "Time that sessions computed"),
    (Count::Memory, MetricType::Gauge, "component_memory_bytes", "Memory of components"),
    (
        Count::RcloneMemory,
        MetricType::Gauge,
        "rclone_memory_bytes",
        "Memory of processes of rclone, with what they could share",
    ),
    (Count::Tasks, MetricType::Gauge, "rclone_threads", "Threads of processes of rclone"),
    (Count::Disk, MetricType::Gauge, "disk_bytes", "Blocks of what sessions keep on the disk"),
    (Count::Files, MetricType::Gauge, "disk_files", "Files that sessions keep on the disk"),
    (Count::Buffers, MetricType::Gauge, "buffered_bytes", "Bytes that the service itself holds"),
    (Count::Batches, MetricType::Gauge, "batches", "Batches that components have"),
    (Count::Descriptors, MetricType::Gauge, "batch_descriptors", "Descriptors held for batches"),
];

/// One metric, with a value for each set of labels.
#[derive(Debug)]
struct Metric {
    kind: MetricType,
    name: &'static str,
    help: &'static str,
    values: Vec<(Vec<(&'static str, String)>, f64)>,
}

/// What there is to show.
#[derive(Debug)]
struct Snapshot(Vec<Metric>);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Metric { kind, name, help, values } in &self.0 {
            let mut metric = encoder.encode_descriptor(name, help, None, *kind)?;
            for (labels, value) in values {
                let mut metric = metric.encode_family(labels)?;
                match kind {
                    MetricType::Counter => {
                        metric.encode_counter::<NoLabelSet, _, f64>(value, None)?;
                    }
                    _ => metric.encode_gauge(value)?,
                }
            }
        }
        Ok(())
    }
}

/// Everything about these tenants in the text format of OpenMetrics; `waiting` are the
/// sessions for which their tenant has a place, and all tenants together have none.
pub fn text<'a>(
    runtimes: impl Iterator<Item = &'a TenantRuntime> + Clone,
    waiting: usize,
    rejections: &Rejections,
) -> Result<String, fmt::Error> {
    let per_source = |value: &dyn Fn(&TenantRuntime) -> f64| {
        let labels = |runtime: &TenantRuntime| vec![("tenant", runtime.tenant.name.clone())];
        runtimes.clone().map(|runtime| (labels(runtime), value(runtime))).collect()
    };
    let mut metrics: Vec<Metric> = COUNTED
        .into_iter()
        .map(|(count, kind, name, help)| {
            let values = per_source(&|runtime| number(&runtime.tenant.account, count));
            Metric { kind, name, help, values }
        })
        .collect();
    let present: [Present<'_>; 2] = [
        ("sessions", "Sessions that have a place", &|it| it.tenant.places.admitted() as f64),
        ("queued_sessions", "Sessions that wait for a place", &|it| {
            it.tenant.places.waiting() as f64
        }),
    ];
    metrics.extend(present.map(|(name, help, value)| Metric {
        kind: MetricType::Gauge,
        name,
        help,
        values: per_source(value),
    }));
    let failures = runtimes.flat_map(|runtime| {
        let labels = |reason: &str| {
            vec![("tenant", runtime.tenant.name.clone()), ("reason", reason.to_owned())]
        };
        let failures = runtime.tenant.account.failures();
        failures.map(move |(reason, count)| (labels(reason), count as f64))
    });
    let counter = |name, help, values| Metric { kind: MetricType::Counter, name, help, values };
    metrics.push(counter("failures", "Failures by their reason", failures.collect()));
    let refused = rejections.all().map(|(cause, count)| {
        let labels = vec![("cause", cause.to_owned())];
        (labels, count as f64)
    });
    metrics.push(counter(
        "rejected_connections",
        "Connections that got no session",
        refused.collect(),
    ));
    metrics.push(Metric {
        kind: MetricType::Gauge,
        name: "queued_sessions_global",
        help: "Sessions that wait for a place among those of all tenants",
        values: vec![(Vec::new(), waiting as f64)],
    });
    let mut registry = Registry::with_prefix("plakbox");
    registry.register_collector(Box::new(Snapshot(metrics)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn number(account: &Counters, count: Count) -> f64 {
    let number = account.get(count) as f64;
    if count == Count::Computed { number / 1e9 } else { number }
}
