//! Runs the simulated Koji until Ctrl-C: `cargo run -p kojisim --example hub -- DIR [PORT [SPEED [none]]]`.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut options = kojisim::Options::new(arguments.next().ok_or("say in which directory")?);
    if let Some(port) = arguments.next() {
        options.listen.set_port(port.parse()?);
    }
    if let Some(speed) = arguments.next() {
        options.speed = speed.parse()?;
    }
    if arguments.next().as_deref() == Some("none") {
        options.script = kojisim::Script::None;
    }
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    kojisim::run(options, |line| println!("{line}"), stop).await?;
    Ok(())
}
