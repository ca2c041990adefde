//! What Prometheus is shown: what is counted of each tenant, and what is there at present.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;

use crate::quota::counters::{Count, Counters};
use crate::service::server::rejections::Refusals;
use crate::service::tenants::runtime::Lodger;

/// How something is counted, what it is called, and what it is.
type Counted = (Count, MetricType, &'static str, &'static str);

/// What something that is there for a while is called, what it is, and how much there is.
type Present<'a> = (&'static str, &'static str, &'a dyn Fn(&Lodger) -> f64);

const COUNTED: [Counted; 15] = [
    (Count::BytesOut, MetricType::Counter, "bytes_from_rclone", "Bytes that rclone gave"),
    (Count::BytesIn, MetricType::Counter, "bytes_to_rclone", "Bytes that rclone was given"),
    (Count::Entries, MetricType::Counter, "entries", "Entries that were found or written"),
    (Count::Started, MetricType::Counter, "rclone_starts", "Processes of rclone that were started"),
    (Count::Failed, MetricType::Counter, "rclone_failures", "Processes of rclone that ended badly"),
    (Count::Running, MetricType::Gauge, "rclone_processes", "Processes of rclone that are running"),
    (Count::Computed, MetricType::Counter, "component_seconds", "Time that sessions computed"),
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
struct Shown(Vec<Metric>);

impl Collector for Shown {
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
    lodgers: impl Iterator<Item = &'a Lodger> + Clone,
    waiting: usize,
    refusals: &Refusals,
) -> Result<String, fmt::Error> {
    let of_each = |value: &dyn Fn(&Lodger) -> f64| {
        let labels = |lodger: &Lodger| vec![("tenant", lodger.tenant.name.clone())];
        lodgers.clone().map(|lodger| (labels(lodger), value(lodger))).collect()
    };
    let mut metrics: Vec<Metric> = COUNTED
        .into_iter()
        .map(|(count, kind, name, help)| {
            let values = of_each(&|lodger| number(&lodger.tenant.account, count));
            Metric { kind, name, help, values }
        })
        .collect();
    let present: [Present<'_>; 2] = [
        ("sessions", "Sessions that have a place", &|it| it.tenant.places.admitted() as f64),
        ("queue", "Sessions that wait for a place", &|it| it.tenant.places.waiting() as f64),
    ];
    metrics.extend(present.map(|(name, help, value)| Metric {
        kind: MetricType::Gauge,
        name,
        help,
        values: of_each(value),
    }));
    let failures = lodgers.flat_map(|lodger| {
        let labels = |reason: &str| {
            vec![("tenant", lodger.tenant.name.clone()), ("reason", reason.to_owned())]
        };
        let failures = lodger.tenant.account.failures();
        failures.map(move |(reason, count)| (labels(reason), count as f64))
    });
    let counter = |name, help, values| Metric { kind: MetricType::Counter, name, help, values };
    metrics.push(counter("failures", "Failures by their reason", failures.collect()));
    let refused = refusals.all().map(|(cause, count)| {
        let labels = vec![("cause", cause.to_owned())];
        (labels, count as f64)
    });
    metrics.push(counter("refusals", "Connections that got no session", refused.collect()));
    metrics.push(Metric {
        kind: MetricType::Gauge,
        name: "queue_of_all",
        help: "Sessions that wait for a place among those of all tenants",
        values: vec![(Vec::new(), waiting as f64)],
    });
    let mut registry = Registry::with_prefix("plakbox");
    registry.register_collector(Box::new(Shown(metrics)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn number(account: &Counters, count: Count) -> f64 {
    let number = account.get(count) as f64;
    if count == Count::Computed { number / 1e9 } else { number }
}
