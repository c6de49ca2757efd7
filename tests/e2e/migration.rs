//! A webshop under way: what most of the tests begin with, and how they tell that it has arrived.

use homeport_tests::{Homeport, KINDS, Kubectl, Webshop, docker_missing, until};

/// The manifests of the example.
pub(crate) const MANIFESTS: [&str; 4] = ["bundle.yaml", "secrets.yaml", "sync.yaml", "cutover.yaml"];

/// Products of the shop: about 16 MB of data.
pub(crate) const SMALL: u32 = 200;

/// A webshop, and the homeport that moves it. The order of the fields is that of their ends: homeport goes first, since
/// it would mend what is removed behind its back.
pub(crate) struct Migration {
    pub(crate) homeport: Homeport,
    pub(crate) shop: Webshop,
    records_before: Vec<String>,
}

/// Says why the test is skipped, if Docker or the images are missing.
pub(crate) fn can_deploy() -> bool {
    match docker_missing() {
        None => true,
        Some(reason) => {
            eprintln!("skipped: {reason}");
            false
        }
    }
}

impl Migration {
    /// A small shop with its cloud side running, packed, and homeport running. Nothing is applied yet.
    pub(crate) fn ready_to_apply() -> Self {
        Self::of(Webshop::with_cloud(SMALL))
    }

    pub(crate) fn of(shop: Webshop) -> Self {
        Self::with_environment(shop, &[])
    }

    pub(crate) fn with_environment(shop: Webshop, environment: &[(&str, &str)]) -> Self {
        shop.pack();
        let records_before = shop.records();
        let homeport = Homeport::start(shop.path(), environment);
        Self {
            homeport,
            shop,
            records_before,
        }
    }

    pub(crate) fn kubectl(&self) -> Kubectl {
        self.homeport.kubectl()
    }

    pub(crate) fn apply(&self, manifest: &str) {
        self.kubectl().ok(&["apply", "-f", &self.shop.manifest(manifest)]);
    }

    pub(crate) fn apply_all(&self) {
        self.apply("");
    }

    /// Waits for something, and shows all there is to see if it does not come.
    pub(crate) fn wait_for(&self, what: &str, mut holds: impl FnMut(&Kubectl) -> bool) {
        let kubectl = self.kubectl();
        let come = || holds(&kubectl).then_some(());
        until(what, come, || {
            format!("{}\n--- log\n{}", kubectl.everything(), self.homeport.log())
        });
    }

    /// Whether the condition of this shop's resource of that kind is True.
    pub(crate) fn holds(&self, kind: &str, condition: &str) -> bool {
        self.kubectl().holds(kind, self.shop.name(), condition)
    }

    pub(crate) fn wait_until_ready(&self) {
        self.wait_for("all four resources to be ready", |_| self.is_ready());
    }

    pub(crate) fn is_ready(&self) -> bool {
        KINDS.iter().all(|kind| {
            self.kubectl()
                .object(kind, self.shop.name())
                .is_some_and(|object| {
                    object["status"]["observedGeneration"] == object["metadata"]["generation"]
                        && self.holds(kind, "Ready")
                })
        })
    }

    /// The end state that every migration must reach, whatever happened on the way.
    pub(crate) fn assert_arrived(&self) {
        let shop = &self.shop;
        assert_eq!(
            shop.resolve(),
            [shop.host().to_string()],
            "the name leads to the new host"
        );
        let (before, after) = (
            shop.summary(shop.cloud()).unwrap(),
            shop.summary(shop.host()).unwrap(),
        );
        assert_eq!(after.served_from, "your own host");
        assert_eq!(
            (after.rows, after.sums),
            (before.rows, before.sums),
            "both sides hold the same data"
        );
        assert_eq!(
            shop.containers().len(),
            2,
            "one container a service: {:?}",
            shop.containers()
        );
        let bundle = self.kubectl().object("hprtbundle", shop.name()).unwrap();
        assert_eq!(bundle["status"]["revision"], 1, "deployed once: {bundle:#}");
        assert_eq!(
            self.other_records(&shop.records()),
            self.other_records(&self.records_before)
        );
    }

    /// Records that are none of homeport's business: neither the one that it was told to change, nor the TXT records by
    /// which it says what is its own.
    fn other_records(&self, records: &[String]) -> Vec<String> {
        let others = records
            .iter()
            .filter(|record| !record.starts_with("www.") && !record.contains("homeport"));
        others.cloned().collect()
    }

    /// The zone is as it was before the migration.
    pub(crate) fn assert_records_restored(&self) {
        assert_eq!(self.shop.records(), self.records_before);
    }
}
