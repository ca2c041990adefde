//! Metrics for Prometheus: counts and current values of each tenant and of the service.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;

use crate::quota::counters::Count;
use crate::service::server::rejections::Rejections;
use crate::service::tenants::runtime::TenantRuntime;

/// Definition of a metric that has a value for each tenant.
struct MetricDefinition {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    read: fn(&TenantRuntime) -> f64,
}

impl MetricDefinition {
    const fn counter(
        name: &'static str,
        help: &'static str,
        read: fn(&TenantRuntime) -> f64,
    ) -> Self {
        Self { name, help, kind: MetricType::Counter, read }
    }

    const fn gauge(
        name: &'static str,
        help: &'static str,
        read: fn(&TenantRuntime) -> f64,
    ) -> Self {
        Self { name, help, kind: MetricType::Gauge, read }
    }
}

const TENANT_METRICS: [MetricDefinition; 17] = [
    MetricDefinition::counter("rclone_read_bytes", "Bytes read from rclone", |tenant| {
        count(tenant, Count::BytesOut)
    }),
    MetricDefinition::counter("rclone_written_bytes", "Bytes written to rclone", |tenant| {
        count(tenant, Count::BytesIn)
    }),
    MetricDefinition::counter("entries", "Entries found or written", |tenant| {
        count(tenant, Count::Entries)
    }),
    MetricDefinition::counter("rclone_started", "Started rclone processes", |tenant| {
        count(tenant, Count::Started)
    }),
    MetricDefinition::counter("rclone_failures", "Failed rclone processes", |tenant| {
        count(tenant, Count::Failed)
    }),
    MetricDefinition::gauge("rclone_processes", "Running rclone processes", |tenant| {
        count(tenant, Count::Running)
    }),
    MetricDefinition::counter(
        "component_cpu_seconds",
        "Processor time of components",
        // The counter is in nanoseconds.
        |tenant| count(tenant, Count::Computed) / 1e9,
    ),
    MetricDefinition::gauge("component_memory_bytes", "Memory of components", |tenant| {
        count(tenant, Count::Memory)
    }),
    MetricDefinition::gauge(
        "rclone_memory_bytes",
        "Memory of rclone processes, including pages that they may share",
        |tenant| count(tenant, Count::RcloneMemory),
    ),
    MetricDefinition::gauge("rclone_threads", "Threads of rclone processes", |tenant| {
        count(tenant, Count::Tasks)
    }),
    MetricDefinition::gauge("disk_bytes", "Disk blocks used by sessions, in bytes", |tenant| {
        count(tenant, Count::Disk)
    }),
    MetricDefinition::gauge("disk_files", "Files of sessions on the disk", |tenant| {
        count(tenant, Count::Files)
    }),
    MetricDefinition::gauge("buffered_bytes", "Bytes buffered by the service", |tenant| {
        count(tenant, Count::Buffers)
    }),
    MetricDefinition::gauge("batches", "Open batches of restores", |tenant| {
        count(tenant, Count::Batches)
    }),
    MetricDefinition::gauge("batch_descriptors", "Descriptors held for batches", |tenant| {
        count(tenant, Count::Descriptors)
    }),
    MetricDefinition::gauge("sessions", "Admitted sessions", |runtime| {
        runtime.tenant.queue.admitted() as f64
    }),
    MetricDefinition::gauge("queued_sessions", "Sessions waiting for admission", |runtime| {
        runtime.tenant.queue.waiting() as f64
    }),
];

fn count(runtime: &TenantRuntime, count: Count) -> f64 {
    runtime.tenant.account.get(count) as f64
}

/// A metric, with a value for each set of labels.
#[derive(Debug)]
struct Metric {
    kind: MetricType,
    name: &'static str,
    help: &'static str,
    values: Vec<(Vec<(&'static str, String)>, f64)>,
}

/// All metrics at one time.
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

/// Encodes all metrics in the OpenMetrics text format. `queued_globally` is the number of
/// sessions that their tenant has admitted, and that wait in the queue of all tenants.
///
/// # Errors
///
/// A value can't be formatted.
pub fn encode_text<'a>(
    runtimes: impl Iterator<Item = &'a TenantRuntime> + Clone,
    queued_globally: usize,
    rejections: &Rejections,
) -> Result<String, fmt::Error> {
    let mut metrics: Vec<Metric> = TENANT_METRICS
        .iter()
        .map(|definition| tenant_metric(definition, runtimes.clone()))
        .collect();
    metrics.push(failures(runtimes));
    metrics.push(rejected_connections(rejections));
    metrics.push(Metric {
        kind: MetricType::Gauge,
        name: "queued_sessions_global",
        help: "Sessions waiting in the queue of all tenants",
        values: vec![(Vec::new(), queued_globally as f64)],
    });
    let mut registry = Registry::with_prefix("plakbox");
    registry.register_collector(Box::new(Snapshot(metrics)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// Reads a metric of all tenants.
fn tenant_metric<'a>(
    definition: &MetricDefinition,
    runtimes: impl Iterator<Item = &'a TenantRuntime>,
) -> Metric {
    let MetricDefinition { name, help, kind, read } = definition;
    let values = runtimes.map(|runtime| {
        let labels = vec![("tenant", runtime.tenant.name.clone())];
        (labels, read(runtime))
    });
    Metric { kind: *kind, name, help, values: values.collect() }
}

/// Reads the numbers of failures of all tenants, by reason.
fn failures<'a>(runtimes: impl Iterator<Item = &'a TenantRuntime>) -> Metric {
    let values = runtimes.flat_map(|runtime| {
        runtime.tenant.account.failures().map(|(reason, count)| {
            let tenant = runtime.tenant.name.clone();
            let labels = vec![("tenant", tenant), ("reason", reason.to_owned())];
            (labels, count as f64)
        })
    });
    Metric {
        kind: MetricType::Counter,
        name: "failures",
        help: "Failures by reason",
        values: values.collect(),
    }
}

/// Reads the numbers of rejections, by cause.
fn rejected_connections(rejections: &Rejections) -> Metric {
    let values = rejections.counts().map(|(cause, count)| {
        let labels = vec![("cause", cause.to_owned())];
        (labels, count as f64)
    });
    Metric {
        kind: MetricType::Counter,
        name: "rejected_connections",
        help: "Connections without a session, by cause",
        values: values.collect(),
    }
}
