//! Unmodified kubectl against the served API: what people type, and what they see.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use crate::server::Served;
use crate::support::{widget, widget_definition};

/// kubectl, from `$KUBECTL` or the path. Says loudly that nothing is tested if there is none.
fn kubectl() -> Option<PathBuf> {
    let named = std::env::var_os("KUBECTL")
        .filter(|named| !named.is_empty())
        .map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = named.or_else(|| {
        std::env::split_paths(&path)
            .map(|directory| directory.join("kubectl"))
            .find(|file| file.is_file())
    });
    if found.is_none() {
        // Not by a macro: the test harness would keep that to itself.
        let warning = b"SKIPPED: no kubectl in $KUBECTL or the path; the store was not tested with it\n";
        let _ = std::io::stderr().write_all(warning);
    }
    found
}

struct Kubectl {
    program: PathBuf,
    served: Served,
}

/// What a run of kubectl came to.
struct Outcome {
    code: i32,
    output: String,
}

impl Kubectl {
    async fn start() -> Option<Self> {
        let program = kubectl()?;
        let kubectl = Kubectl {
            program,
            served: Served::start().await,
        };
        kubectl
            .input("apply -f -", &widget_definition().to_string())
            .await
            .ok("created");
        Some(kubectl)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(line.split(' '))
            .env("KUBECONFIG", &self.served.kubeconfig)
            .env("HOME", self.served.directory.path())
            .env("KUBECACHEDIR", self.served.directory.path().join("cache"))
            .kill_on_drop(true);
        command
    }

    async fn run(&self, line: &str) -> Outcome {
        self.input(line, "").await
    }

    async fn input(&self, line: &str, input: &str) -> Outcome {
        let mut child = self
            .command(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .await
            .unwrap();
        let ended = child.wait_with_output().await.unwrap();
        let output = [ended.stdout, ended.stderr].concat();
        Outcome {
            code: ended.status.code().unwrap_or(-1),
            output: format!("kubectl {line}\n{}", String::from_utf8_lossy(&output)),
        }
    }

    fn file(&self, name: &str, contents: &str) -> String {
        let path: &Path = self.served.directory.path();
        let path = path.join(name);
        std::fs::write(&path, contents).unwrap();
        path.display().to_string()
    }
}

impl Outcome {
    #[track_caller]
    fn ok(self, expected: &str) -> String {
        assert_eq!(self.code, 0, "{}", self.output);
        assert!(
            self.output.contains(expected),
            "no {expected:?} in: {}",
            self.output
        );
        self.output
    }

    #[track_caller]
    fn fails(self, expected: &str) -> String {
        assert_ne!(self.code, 0, "{}", self.output);
        assert!(
            self.output.contains(expected),
            "no {expected:?} in: {}",
            self.output
        );
        self.output
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn custom_resources_from_apply_to_delete() {
    let Some(kubectl) = Kubectl::start().await else {
        return;
    };
    let small = widget("a", 3).to_string();
    kubectl
        .input("apply -f -", &small)
        .await
        .ok("widget.test.dev/a created");
    kubectl
        .input("apply -f -", &small)
        .await
        .ok("widget.test.dev/a unchanged");
    let header = kubectl.run("get wd").await.ok("NAME   SIZE   READY   AGE");
    assert!(header.contains("a      3"), "{header}");
    kubectl.run("get widgets -o wide").await.ok("COLOR");
    kubectl.run("get all").await.ok("widget.test.dev/a");
    kubectl.run("get toys").await.ok("a      3");
    kubectl.run("get wd a -o jsonpath={.spec.color}").await.ok("red");
    kubectl.run("describe wd a").await.ok("Size:");
    kubectl.run("explain widget.spec.size").await.ok("How big.");
    kubectl.run("explain widget --recursive").await.ok("color");

    let bigger = kubectl.file("bigger.json", &widget("a", 4).to_string());
    kubectl.run(&format!("diff -f {bigger}")).await.fails("size: 4");
    kubectl
        .run(&format!("apply -f {bigger} --dry-run=server"))
        .await
        .ok("configured (server dry run)");
    kubectl.run("get wd a -o jsonpath={.spec.size}").await.ok("\n3");
    kubectl.run(&format!("apply -f {bigger}")).await.ok("configured");
    kubectl.run(&format!("diff -f {bigger}")).await.ok("");
    kubectl.run(&format!("replace -f {bigger}")).await.ok("replaced");
    kubectl.run("label wd a tier=web").await.ok("labeled");
    kubectl
        .run("get wd -l tier=web -o name")
        .await
        .ok("widget.test.dev/a");
    kubectl.run("annotate wd a note=x").await.ok("annotated");
    kubectl.run("scale wd a --replicas=2").await.ok("scaled");
    kubectl
        .run("patch wd a --type=merge -p {\"spec\":{\"size\":5}}")
        .await
        .ok("patched");
    let replace = "[{\"op\":\"replace\",\"path\":\"/spec/size\",\"value\":6}]";
    kubectl
        .run(&format!("patch wd a --type=json -p {replace}"))
        .await
        .ok("patched");
    let ready = "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}";
    kubectl
        .run(&format!(
            "patch wd a --subresource=status --type=merge -p {ready}"
        ))
        .await
        .ok("patched");
    kubectl
        .run("wait --for=condition=Ready wd/a --timeout=60s")
        .await
        .ok("condition met");
    let editor = kubectl.file("editor.sh", "#!/bin/sh\nsed -i 's/size: 6/size: 7/' \"$1\"\n");
    let edited = kubectl
        .command("edit wd a")
        .env("KUBE_EDITOR", format!("sh {editor}"))
        .output()
        .await
        .unwrap();
    assert!(edited.status.success(), "{edited:?}");
    kubectl.run("get wd a -o jsonpath={.spec.size}").await.ok("\n7");
    kubectl.run("delete wd a").await.ok("deleted");
    kubectl
        .run("get wd a")
        .await
        .fails("Error from server (NotFound): widgets.test.dev \"a\" not found");
    kubectl.run("wait --for=delete wd/a --timeout=60s").await.ok("");
    kubectl.served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_objects_are_refused_with_what_to_mend() {
    let Some(kubectl) = Kubectl::start().await else {
        return;
    };
    let bad = |change: fn(&mut serde_json::Value)| {
        let mut object = widget("a", 3);
        change(&mut object);
        object.to_string()
    };
    let unknown = bad(|object| object["spec"]["bogus"] = 1.into());
    kubectl
        .input("apply -f -", &unknown)
        .await
        .fails("unknown field \"spec.bogus\"");
    let range = bad(|object| object["spec"]["size"] = 30.into());
    kubectl
        .input("apply -f -", &range)
        .await
        .fails("The Widget \"a\" is invalid: spec.size: Invalid value: 30");
    let rule = bad(|object| object["spec"] = serde_json::json!({"size": 8, "color": "green"}));
    kubectl
        .input("apply -f -", &rule)
        .await
        .fails("green widgets are small");
    kubectl
        .input("apply --server-side -f -", &rule)
        .await
        .fails("green widgets are small");
    let missing = bad(|object| object["spec"] = serde_json::json!({}));
    kubectl
        .input("create -f -", &missing)
        .await
        .fails("spec.size: Required value");
    kubectl
        .input("-n nowhere create -f -", &bad(|_| {}))
        .await
        .fails("namespaces \"nowhere\" not found");
    kubectl
        .run("get gadgets")
        .await
        .fails("the server doesn't have a resource type \"gadgets\"");
    kubectl.served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_side_apply_and_its_conflicts() {
    let Some(kubectl) = Kubectl::start().await else {
        return;
    };
    let file = kubectl.file("a.json", &widget("a", 3).to_string());
    let other = kubectl.file("b.json", &widget("a", 4).to_string());
    kubectl
        .run(&format!("apply --server-side -f {file}"))
        .await
        .ok("serverside-applied");
    kubectl.run(&format!("diff --server-side -f {file}")).await.ok("");
    let conflict = format!("apply --server-side --field-manager=other -f {other}");
    kubectl
        .run(&conflict)
        .await
        .fails("conflict with \"kubectl\": .spec.size");
    kubectl
        .run(&format!("{conflict} --force-conflicts"))
        .await
        .ok("serverside-applied");
    kubectl
        .run("get wd a -o yaml --show-managed-fields")
        .await
        .ok("manager: other");
    kubectl.served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn built_in_kinds() {
    let Some(kubectl) = Kubectl::start().await else {
        return;
    };
    kubectl.run("version").await.ok("Server Version");
    kubectl.run("api-resources").await.ok("customresourcedefinitions");
    kubectl.run("api-versions").await.ok("apiextensions.k8s.io/v1");
    kubectl.run("auth whoami").await.ok("homeport");
    kubectl.run("auth can-i create deployments").await.ok("yes");
    kubectl.run("auth can-i --list").await.ok("*.*");
    kubectl.run("create ns team").await.ok("namespace/team created");
    kubectl
        .run("-n team create cm settings --from-literal=a=b")
        .await
        .ok("created");
    kubectl
        .run("-n team create secret generic key --from-literal=p=hunter2")
        .await
        .ok("created");
    kubectl
        .run("-n team get secret key -o jsonpath={.data.p}")
        .await
        .ok("aHVudGVyMg==");
    kubectl.run("-n team get cm,secrets").await.ok("secret/key");
    kubectl.run("-n team describe secret key").await.ok("7 bytes");
    kubectl
        .run("-n team create deployment web --image=nginx")
        .await
        .ok("created");
    kubectl
        .run("-n team set image deploy/web nginx=nginx:2")
        .await
        .ok("image updated");
    kubectl
        .run("-n team scale deploy web --replicas=3")
        .await
        .ok("scaled");
    kubectl.run("-n team get deploy").await.ok("0/3");
    kubectl.run("-n team describe deploy web").await.ok("nginx:2");
    kubectl
        .run("-n team create job once --image=busybox")
        .await
        .ok("created");
    kubectl.run("-n team get jobs").await.ok("0/1");
    kubectl.run("-n team describe job once").await.ok("Completions:");
    kubectl.run("-n team create sa robot").await.ok("created");
    kubectl
        .run("-n team create role reader --verb=get --resource=configmaps")
        .await
        .ok("created");
    kubectl
        .run("-n team create rolebinding reads --role=reader --serviceaccount=team:robot")
        .await
        .ok("created");
    kubectl.run("-n team get rolebindings").await.ok("Role/reader");
    kubectl.run("get svc kubernetes").await.ok("ClusterIP");
    kubectl.run("-n team get events").await.ok("No resources found");
    kubectl.run("describe ns team").await.ok("Active");
    kubectl
        .run("-n team delete deploy,job,cm --all")
        .await
        .ok("deployment.apps \"web\" deleted");
    kubectl
        .run("explain deployment.spec.template.spec.containers")
        .await
        .ok("A single application container");
    kubectl.run("delete ns team").await.ok("deleted");
    kubectl.run("get ns team").await.fails("not found");
    kubectl.run("delete crd widgets.test.dev").await.ok("deleted");
    kubectl.run("get --raw /readyz").await.ok("ok");
    kubectl.served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watching_shows_each_change_as_a_row() {
    let Some(kubectl) = Kubectl::start().await else {
        return;
    };
    kubectl
        .input("apply -f -", &widget("a", 3).to_string())
        .await
        .ok("created");
    let mut watching = kubectl
        .command("get wd -w")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = async || lines.next_line().await.unwrap().unwrap();
    assert!(next().await.starts_with("NAME"));
    assert!(next().await.starts_with("a      3"));
    kubectl
        .input("apply -f -", &widget("a", 5).to_string())
        .await
        .ok("configured");
    assert!(next().await.starts_with("a      5"));
    kubectl
        .input("apply -f -", &widget("b", 1).to_string())
        .await
        .ok("created");
    assert!(next().await.starts_with("b      1"));
    watching.kill().await.unwrap();
    kubectl.served.stop().await;
}
