//! A hub in a process of its own, for the test that kills it: `hub_to_be_killed DIR`. It writes its address to
//! `DIR/address` and runs until it is killed.

use kojisim::{Options, Sim};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(1).ok_or("say in which directory")?;
    let sim = Sim::start(Options { speed: 5.0, ..Options::for_tests(&directory) }).await?;
    let address = std::path::Path::new(&directory).join("address");
    // Renamed, so that whoever waits for it never reads half of it.
    std::fs::write(address.with_extension("new"), sim.address().to_string())?;
    std::fs::rename(address.with_extension("new"), address)?;
    std::future::pending::<()>().await;
    Ok(())
}
