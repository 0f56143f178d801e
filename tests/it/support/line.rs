//! A network line to a server that a test cuts and mends: cut, connections end and new ones are
//! refused.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The line.
pub(crate) struct Line {
    address: SocketAddr,
    server: SocketAddr,
    listener: Mutex<TcpListener>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Line {
    /// Leads to `server`.
    pub(crate) fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("its address");
        let line = Self {
            address,
            server,
            listener: Mutex::new(listener.try_clone().expect("a copy")),
            connections: Arc::default(),
        };
        line.lead(listener);
        line
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn cut(&self) {
        let _ = rustix::net::shutdown(&*self.listener.lock().unwrap(), rustix::net::Shutdown::Both);
        for stream in self.connections.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn mend(&self) {
        let listener = TcpListener::bind(self.address).expect("the port is still ours");
        *self.listener.lock().unwrap() = listener.try_clone().expect("a copy");
        self.lead(listener);
    }

    /// Leads what comes to the server, until the line is cut.
    fn lead(&self, listener: TcpListener) {
        let (server, connections) = (self.server, Arc::clone(&self.connections));
        std::thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                let _ = lead(near, server, &connections);
            }
        });
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.cut();
    }
}

fn lead(near: TcpStream, server: SocketAddr, connections: &Mutex<Vec<TcpStream>>) -> io::Result<()> {
    let far = TcpStream::connect(server)?;
    connections.lock().unwrap().extend([near.try_clone()?, far.try_clone()?]);
    for (mut from, mut to) in [(near.try_clone()?, far.try_clone()?), (far, near)] {
        std::thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}
