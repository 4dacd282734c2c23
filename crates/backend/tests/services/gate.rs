//! A gate before a server: connections go through it, slowly, damaged, or not at all, as a test wants.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How connections fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    Open,
    /// Every piece of an answer takes a while.
    Slow,
    /// Pieces of answers have a wrong byte.
    Damaged,
    /// What is asked arrives, and answers wait until the passage is another one.
    Silent,
    /// Nobody is there; connections that were open break.
    Shut,
}

/// A gate; it ends with the test.
pub(crate) struct Gate {
    address: SocketAddr,
    inner: Arc<Inner>,
}

struct Inner {
    passage: watch::Sender<Passage>,
    /// What somebody asks for when it falls silent.
    last_words: Mutex<Option<&'static str>>,
    /// What was asked for: methods of the hub, also those within multicalls, and "files".
    asked: Mutex<BTreeSet<String>>,
}

impl Gate {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            passage: watch::Sender::new(Passage::Open),
            last_words: Mutex::new(None),
            asked: Mutex::new(BTreeSet::new()),
        });
        tokio::spawn({
            let inner = Arc::clone(&inner);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    if *inner.passage.borrow() != Passage::Shut {
                        tokio::spawn(pass(client, server, Arc::clone(&inner)));
                    }
                }
            }
        });
        Self { address, inner }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set(&self, passage: Passage) {
        self.inner.passage.send_replace(passage);
    }

    /// Lets it fall silent when somebody asks for something with these words in it, which still arrives.
    pub(crate) fn fall_silent_at(&self, words: &'static str) {
        *self.inner.last_words.lock().unwrap() = Some(words);
    }

    /// What was asked for until now: methods of the hub, also those within multicalls, and "files".
    pub(crate) fn asked(&self) -> BTreeSet<String> {
        self.inner.asked.lock().unwrap().clone()
    }

    /// Whether it has fallen silent.
    pub(crate) fn is_silent(&self) -> bool {
        *self.inner.passage.borrow() == Passage::Silent
    }
}

impl Inner {
    fn hear(&self, piece: &[u8]) {
        let text = String::from_utf8_lossy(piece);
        let mut asked = self.asked.lock().unwrap();
        if text.starts_with("GET ") {
            asked.insert("files".to_owned());
        }
        for before in ["<methodName>", "<name>methodName</name>\n<value><string>"] {
            for call in text.split(before).skip(1) {
                if let Some((method, _)) = call.split_once("</") {
                    asked.insert(method.to_owned());
                }
            }
        }
        drop(asked);
        let mut last_words = self.last_words.lock().unwrap();
        if let Some(words) = *last_words
            && text.contains(words)
        {
            *last_words = None;
            self.passage.send_replace(Passage::Silent);
        }
    }
}

async fn pass(client: TcpStream, server: SocketAddr, inner: Arc<Inner>) {
    let mut passage = inner.passage.subscribe();
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut watched = passage.clone();
    let asking = async {
        let mut piece = vec![0; 1 << 16];
        while let Ok(size @ 1..) = from_client.read(&mut piece).await {
            inner.hear(&piece[..size]);
            if to_server.write_all(&piece[..size]).await.is_err() {
                return;
            }
        }
        let _ = to_server.shutdown().await;
    };
    let answering = async {
        let mut piece = vec![0; 1 << 16];
        while let Ok(size @ 1..) = from_server.read(&mut piece).await {
            let speaks = watched.wait_for(|passage| *passage != Passage::Silent);
            let Ok(now) = speaks.await.map(|passage| *passage) else { return };
            match now {
                Passage::Slow => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                // The end of a piece is hardly ever a header.
                Passage::Damaged if size > 400 => piece[size - 7] ^= 0x15,
                Passage::Damaged | Passage::Open | Passage::Silent | Passage::Shut => {}
            }
            if to_client.write_all(&piece[..size]).await.is_err() {
                return;
            }
        }
        let _ = to_client.shutdown().await;
    };
    tokio::select! {
        _ = async { tokio::join!(asking, answering) } => {}
        _ = passage.wait_for(|passage| *passage == Passage::Shut) => {}
    }
}
