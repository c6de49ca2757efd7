//! `/metrics`: what is measured, in Prometheus' text format.
//!
//! Names are kube-apiserver's where they mean the same, so that its dashboards and alerts fit. Labels hold only names
//! of kinds that are served: what strangers and typos ask for makes no series of its own.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::engine::EngineMetrics;

/// The media type of [`Metrics::text`].
pub(crate) const MEDIA_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// Seconds; kube-apiserver's buckets of `apiserver_request_duration_seconds`.
const REQUEST_BUCKETS: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0,
    20.0, 30.0, 45.0, 60.0,
];

/// What a request was about; all empty where it was about no kind that is served.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) verb: &'static str,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    /// `resource`, `namespace` or `cluster`.
    pub(crate) scope: &'static str,
    /// `All` or nothing.
    pub(crate) dry_run: &'static str,
    pub(crate) component: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    #[prometheus(flatten)]
    request: RequestLabels,
    code: u16,
}

/// The kind that is watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct WatchLabels {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InflightLabels {
    request_kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ObjectLabels {
    resource: String,
}

type Level = Gauge<u64, AtomicU64>;

/// Everything that is measured.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: Family<CodeLabels, Counter>,
    durations: Family<RequestLabels, Histogram, fn() -> Histogram>,
    watchers: Family<WatchLabels, Gauge>,
    inflight: Family<InflightLabels, Gauge>,
    /// Connections that are open.
    pub(crate) connections: Gauge,
    /// Connections closed to make room, before they had shown the token.
    pub(crate) evicted: Counter,
    /// Held while measurements of the moment are taken and written out.
    scrape: Mutex<Scrape>,
}

/// What is measured only when somebody asks.
#[derive(Debug)]
struct Scrape {
    registry: Registry,
    objects: Family<ObjectLabels, Level>,
    process: Process,
}

impl Metrics {
    pub(crate) fn new(engine: &EngineMetrics) -> Self {
        let duration: fn() -> Histogram = || Histogram::new(REQUEST_BUCKETS);
        let mut registry = Registry::default();
        let requests = Family::default();
        registry.register(
            "apiserver_request",
            "Requests, by what they were about and how they were answered",
            Family::clone(&requests),
        );
        let durations = Family::new_with_constructor(duration);
        registry.register(
            "apiserver_request_duration_seconds",
            "Seconds until the answer began, without watches",
            Family::clone(&durations),
        );
        let watchers = Family::default();
        registry.register(
            "apiserver_registered_watchers",
            "Watches that are open",
            Family::clone(&watchers),
        );
        let inflight = Family::default();
        registry.register(
            "apiserver_current_inflight_requests",
            "Requests being answered, without watches",
            Family::clone(&inflight),
        );
        let objects = Family::default();
        registry.register(
            "apiserver_storage_objects",
            "Stored objects",
            Family::clone(&objects),
        );
        registry.register(
            "homeport_store_commit_duration_seconds",
            "Seconds that a transaction of the state file took, its flush to the disk included",
            engine.commit_duration.clone(),
        );
        registry.register(
            "homeport_store_commit_writes",
            "Writes that shared a transaction of the state file",
            engine.commit_writes.clone(),
        );
        registry.register(
            "homeport_store_log_rows",
            "Rows in the state file, superseded ones among them",
            engine.log_rows.clone(),
        );
        let connections = Gauge::default();
        registry.register(
            "homeport_connections",
            "Connections that are open",
            Gauge::clone(&connections),
        );
        let evicted = Counter::default();
        registry.register(
            "homeport_connections_evicted",
            "Connections closed to make room before they had shown the token",
            Counter::clone(&evicted),
        );
        let process = Process::register(&mut registry);
        let scrape = Scrape {
            registry,
            objects,
            process,
        };
        Metrics {
            requests,
            durations,
            watchers,
            inflight,
            connections,
            evicted,
            scrape: Mutex::new(scrape),
        }
    }

    /// Notes a request that has been answered with `code` after `elapsed`, which is `None` for a watch.
    pub(crate) fn answered(&self, request: RequestLabels, code: u16, elapsed: Option<Duration>) {
        if let Some(elapsed) = elapsed {
            self.durations
                .get_or_create(&request)
                .observe(elapsed.as_secs_f64());
        }
        self.requests.get_or_create(&CodeLabels { request, code }).inc();
    }

    /// Counts a watch for as long as what is returned lives.
    pub(crate) fn watching(&self, labels: &WatchLabels) -> Counted {
        Counted::new(self.watchers.get_or_create_owned(labels))
    }

    /// Counts a request being answered for as long as what is returned lives.
    pub(crate) fn answering(&self, mutating: bool) -> Counted {
        let request_kind = if mutating { "mutating" } else { "readOnly" };
        Counted::new(
            self.inflight
                .get_or_create_owned(&InflightLabels { request_kind }),
        )
    }

    /// All of it, as text; `objects` are those stored now, by resource.
    ///
    /// # Errors
    /// None in practice: it is written to memory.
    pub(crate) fn text(&self, objects: BTreeMap<String, u64>) -> Result<String, std::fmt::Error> {
        let scrape = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        scrape.objects.clear();
        for (resource, count) in objects {
            scrape
                .objects
                .get_or_create(&ObjectLabels { resource })
                .set(count);
        }
        scrape.process.measure();
        let mut text = String::new();
        prometheus_text::encode(&mut text, &scrape.registry)?;
        Ok(text)
    }
}

/// Is part of a number until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Counted(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The usual measurements of a process, from `/proc`.
#[derive(Debug, Default)]
struct Process {
    resident: Level,
    virtual_size: Level,
    descriptors: Level,
    most_descriptors: Level,
    cpu: Gauge<f64, AtomicU64>,
}

impl Process {
    fn register(registry: &mut Registry) -> Self {
        let process = Process::default();
        let mut add = |name: &str, help: &str, level: &Level| registry.register(name, help, level.clone());
        add(
            "process_resident_memory_bytes",
            "Resident memory in bytes",
            &process.resident,
        );
        add(
            "process_virtual_memory_bytes",
            "Virtual memory in bytes",
            &process.virtual_size,
        );
        add("process_open_fds", "Open file descriptors", &process.descriptors);
        add(
            "process_max_fds",
            "Limit of open file descriptors",
            &process.most_descriptors,
        );
        let started: Gauge<f64, AtomicU64> = Gauge::default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        started.set(now.as_secs_f64());
        registry.register(
            "process_start_time_seconds",
            "When the state was opened, in seconds since 1970",
            started,
        );
        registry.register(
            "process_cpu_seconds",
            "User and system CPU time spent in seconds",
            process.cpu.clone(),
        );
        process
    }

    /// What cannot be read stays as it was.
    fn measure(&self) {
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
        if let Ok(text) = fs::read_to_string("/proc/self/statm") {
            let mut pages = text.split(' ').map_while(|field| field.parse::<u64>().ok());
            if let (Some(size), Some(resident)) = (pages.next(), pages.next()) {
                self.virtual_size.set(size * page);
                self.resident.set(resident * page);
            }
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            self.descriptors.set(entries.count() as u64);
        }
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        self.most_descriptors.set(limit.current.unwrap_or(u64::MAX));
        if let Ok(text) = fs::read_to_string("/proc/self/stat")
            // The name of the program may hold anything; what follows it is numbers.
            && let Some((_, fields)) = text.rsplit_once(')')
        {
            let ticks: f64 = fields
                .split_whitespace()
                .skip(11)
                .take(2)
                .filter_map(|field| field.parse::<f64>().ok())
                .sum();
            self.cpu
                .set(ticks / rustix::param::clock_ticks_per_second() as f64);
        }
    }
}
