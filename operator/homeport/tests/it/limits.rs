//! Limits that the system sets a running homeport.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

/// A signal is sent for a file at its limit, which would end the process.
#[test]
fn a_limit_of_file_sizes_refuses_writes_and_ends_nothing() {
    let directory = tempfile::tempdir().unwrap();
    // In blocks of 512 or 1024 bytes: enough to start, and not for what is written then.
    let script = "ulimit -f 600 && exec \"$0\" up --state-dir \"$1\" --listen 127.0.0.1:0 --log error";
    let mut child = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_homeport")])
        .arg(directory.path())
        .env_remove("HOMEPORT_STATE_DIR")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("homeport is ready"), "{line}");
    let kubeconfig = directory.path().join("kubeconfig");

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let refused = runtime.block_on(fill(&kubeconfig));
    assert_eq!(refused.code, 500, "{refused:?}");
    assert!(refused.message.contains("limit of file sizes"), "{refused:?}");
    assert!(child.try_wait().unwrap().is_none(), "homeport has ended");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Writes until that is refused; what was written before can be read then.
async fn fill(kubeconfig: &std::path::Path) -> kube::core::Status {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::{Api, ListParams, PostParams};
    use kube::config::{KubeConfigOptions, Kubeconfig};
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let file = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .unwrap();
    let configs: Api<ConfigMap> = Api::default_namespaced(kube::Client::try_from(config).unwrap());
    let mut stored = 0;
    loop {
        let mut object = ConfigMap::default();
        object.metadata.name = Some(format!("c{stored}"));
        object.data = Some([("padding".to_owned(), "x".repeat(60_000))].into());
        match configs.create(&PostParams::default(), &object).await {
            Ok(_) => stored += 1,
            Err(kube::Error::Api(status)) => {
                let listed = configs.list(&ListParams::default()).await.unwrap();
                let names = listed
                    .items
                    .iter()
                    .filter_map(|item| item.metadata.name.as_deref());
                assert_eq!(names.filter(|name| *name != "kube-root-ca.crt").count(), stored);
                return *status;
            }
            Err(error) => panic!("{error}"),
        }
        assert!(stored < 1000, "nothing limits the file");
    }
}
