//! Kerberos tokens for the GSSAPI login, from the credentials that the login names and no others.
//!
//! libcurl can do `Negotiate`, but only with the credentials that the environment of the process points to, so that two
//! hubs could not have different ones. Here the system's GSSAPI library is asked itself, which takes keytab, credential
//! cache and principal as parameters (`gss_acquire_cred_from`, MIT Kerberos 1.11 and newer): it gets a ticket from the
//! keytab when there is none or it has expired, and a single token proves us to the hub's web server. The library is looked
//! for when the first such login is made, so a machine without Kerberos lacks nothing.
//!
//! All unsafe code of the client is in this file.

#![allow(unsafe_code, reason = "the interface of GSSAPI is one of C")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::PathBuf;
use std::ptr::{self, null, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use libloading::Library;

/// Whose tickets a login uses.
#[derive(Debug)]
pub(super) struct Credentials {
    principal: Option<String>,
    keytab: Option<PathBuf>,
    /// As Kerberos names it, such as `FILE:/run/koschei/tickets`; none takes the user's.
    ccache: Option<String>,
}

/// Why there is no token.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoToken {
    /// What Kerberos says, and about what.
    pub(super) reason: String,
    /// Whether it may be there later by itself: the Kerberos servers could not be reached.
    pub(super) is_transient: bool,
}

impl NoToken {
    fn for_good(reason: impl Into<String>) -> NoToken {
        NoToken { reason: reason.into(), is_transient: false }
    }
}

impl Credentials {
    /// Tickets of this principal, from this keytab, kept in this cache. Those from a keytab are kept in memory when no
    /// cache is named: no other program finds them, and no other hub's login changes them.
    pub(super) fn new(
        principal: Option<&str>,
        keytab: Option<&PathBuf>,
        ccache: Option<&str>,
    ) -> Credentials {
        static LOGINS: AtomicU64 = AtomicU64::new(0);
        let private = || {
            let number = LOGINS.fetch_add(1, Ordering::Relaxed);
            format!("MEMORY:koschei-{}-{number}", std::process::id())
        };
        Credentials {
            principal: principal.map(str::to_owned),
            keytab: keytab.cloned(),
            ccache: ccache.map(str::to_owned).or_else(|| keytab.map(|_| private())),
        }
    }

    /// The value of `Authorization` that proves us to the web server of this name. May wait for Kerberos servers.
    pub(super) fn authorization(&self, host: &str) -> Result<String, NoToken> {
        if let Some(keytab) = &self.keytab {
            // The library would look elsewhere, and name neither the file nor the reason.
            std::fs::File::open(keytab).map_err(|error| {
                NoToken::for_good(format!(
                    "the keytab {} cannot be read: {error}",
                    keytab.display()
                ))
            })?;
        }
        let library = library()?;
        let token = library.token(self, host).map_err(|problem| {
            let text = match &self.principal {
                // What it says is that there is no cache either.
                Some(_) if self.keytab.is_some() && NOT_FOUND.contains(&problem.code) => {
                    "the keytab has no key of this principal"
                }
                _ => &problem.text,
            };
            NoToken {
                reason: format!("no Kerberos ticket for HTTP@{host}{}: {text}", self.told()),
                is_transient: UNREACHABLE.contains(&problem.code),
            }
        })?;
        Ok(format!("Negotiate {}", BASE64.encode(token)))
    }

    /// What the operator named, for a message.
    fn told(&self) -> String {
        let mut told = String::new();
        if let Some(principal) = &self.principal {
            told.push_str(&format!(" as {principal}"));
        }
        match (&self.keytab, &self.ccache) {
            (Some(keytab), _) => told.push_str(&format!(" from the keytab {}", keytab.display())),
            (None, Some(ccache)) => told.push_str(&format!(" from the credential cache {ccache}")),
            (None, None) => {}
        }
        told
    }
}

/// What the library says when it fails.
struct Problem {
    text: String,
    /// Kerberos' own code.
    code: u32,
}

impl Problem {
    fn of_name(name: &str) -> Problem {
        Problem { text: format!("{name:?} is no name"), code: 0 }
    }
}

// From gssapi.h and gssapi_ext.h, which are the same in all of MIT Kerberos.

type Handle = *mut c_void;

#[repr(C)]
struct Buffer {
    length: usize,
    value: *mut c_void,
}

impl Buffer {
    const EMPTY: Buffer = Buffer { length: 0, value: null_mut() };
}

#[repr(C)]
struct Oid {
    length: u32,
    elements: *const c_void,
}

#[repr(C)]
struct KeyValue {
    key: *const c_char,
    value: *const c_char,
}

#[repr(C)]
struct KeyValues {
    count: u32,
    elements: *const KeyValue,
}

type ImportName = unsafe extern "C" fn(*mut u32, *const Buffer, *const Oid, *mut Handle) -> u32;
type AcquireCredFrom = unsafe extern "C" fn(
    *mut u32,
    Handle,
    u32,
    *const c_void,
    c_int,
    *const KeyValues,
    *mut Handle,
    *mut c_void,
    *mut u32,
) -> u32;
type InitSecContext = unsafe extern "C" fn(
    *mut u32,
    Handle,
    *mut Handle,
    Handle,
    *const Oid,
    u32,
    u32,
    *const c_void,
    *const Buffer,
    *mut c_void,
    *mut Buffer,
    *mut u32,
    *mut u32,
) -> u32;
type DisplayStatus =
    unsafe extern "C" fn(*mut u32, u32, c_int, *const Oid, *mut u32, *mut Buffer) -> u32;
type Release = unsafe extern "C" fn(*mut u32, *mut Handle) -> u32;
type DeleteSecContext = unsafe extern "C" fn(*mut u32, *mut Handle, *mut Buffer) -> u32;
type ReleaseBuffer = unsafe extern "C" fn(*mut u32, *mut Buffer) -> u32;

/// 1.3.6.1.5.5.2: what `Negotiate` means.
const SPNEGO: &[u8] = b"\x2b\x06\x01\x05\x05\x02";
/// 1.2.840.113554.1.2.2: Kerberos 5.
const KERBEROS: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
/// 1.2.840.113554.1.2.2.1: the name of a principal.
const PRINCIPAL_NAME: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01";
/// 1.2.840.113554.1.2.1.4: `service@host`.
const SERVICE_NAME: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x04";

const INITIATE: c_int = 1;
const STATUS_OF_GSS: c_int = 1;
const STATUS_OF_MECHANISM: c_int = 2;
/// Bits of a status that mean an error; the others are remarks.
const ERRORS: u32 = 0xffff_0000;

/// Kerberos' codes for servers that do not answer or whose address is not known just now.
const UNREACHABLE: [u32; 2] =
    [(-1_765_328_228_i32).cast_unsigned(), (-1_765_328_164_i32).cast_unsigned()];
/// Kerberos' codes for a credential cache that is empty or not there, and for a key that is not in a keytab.
const NOT_FOUND: [u32; 3] = [
    (-1_765_328_243_i32).cast_unsigned(),
    (-1_765_328_189_i32).cast_unsigned(),
    (-1_765_328_203_i32).cast_unsigned(),
];

fn oid(bytes: &'static [u8]) -> Oid {
    Oid { length: bytes.len() as u32, elements: bytes.as_ptr().cast() }
}

/// The functions of the system's GSSAPI library. They may be called from any thread.
struct Gssapi {
    import_name: ImportName,
    acquire_cred_from: AcquireCredFrom,
    init_sec_context: InitSecContext,
    display_status: DisplayStatus,
    release_name: Release,
    release_cred: Release,
    delete_sec_context: DeleteSecContext,
    release_buffer: ReleaseBuffer,
    _library: Library,
}

fn library() -> Result<&'static Gssapi, NoToken> {
    static LIBRARY: OnceLock<Result<Gssapi, String>> = OnceLock::new();
    let loaded = LIBRARY.get_or_init(|| Gssapi::load().map_err(|error| error.to_string()));
    loaded.as_ref().map_err(|error| {
        NoToken::for_good(format!(
            "the Kerberos library cannot be used ({error}); install it (Debian: libgssapi-krb5-2, Fedora: krb5-libs)"
        ))
    })
}

impl Gssapi {
    fn load() -> Result<Gssapi, libloading::Error> {
        // SAFETY: the library initialises itself when it is first called, and its functions have the types above, which
        // are those of RFC 2744 and of MIT's gssapi_ext.h. The library stays loaded as long as the pointers live.
        unsafe {
            let library = Library::new("libgssapi_krb5.so.2")?;
            Ok(Gssapi {
                import_name: *library.get(b"gss_import_name\0")?,
                acquire_cred_from: *library.get(b"gss_acquire_cred_from\0")?,
                init_sec_context: *library.get(b"gss_init_sec_context\0")?,
                display_status: *library.get(b"gss_display_status\0")?,
                release_name: *library.get(b"gss_release_name\0")?,
                release_cred: *library.get(b"gss_release_cred\0")?,
                delete_sec_context: *library.get(b"gss_delete_sec_context\0")?,
                release_buffer: *library.get(b"gss_release_buffer\0")?,
                _library: library,
            })
        }
    }

    /// The first token of a security context with `HTTP@host`; the hub's web server wants no other.
    fn token(&self, credentials: &Credentials, host: &str) -> Result<Vec<u8>, Problem> {
        let principal = match &credentials.principal {
            Some(principal) => Some(self.name(principal, PRINCIPAL_NAME)?),
            None => None,
        };
        let credential = self.credential(credentials, principal.as_ref())?;
        let service = self.name(&format!("HTTP@{host}"), SERVICE_NAME)?;

        let (mut minor, mut flags) = (0, 0);
        let mut context = Held { gssapi: self, handle: null_mut(), kind: Kind::Context };
        let mut token = Buffer::EMPTY;
        // SAFETY: all pointers are to live locals; names and credential are alive; a context is begun with a null handle,
        // and is deleted by `Held`, also after a failure.
        let major = unsafe {
            (self.init_sec_context)(
                &mut minor,
                credential.handle,
                &mut context.handle,
                service.handle,
                &oid(SPNEGO),
                0,
                0,
                null(),
                null(),
                null_mut(),
                &mut token,
                &mut flags,
                null_mut(),
            )
        };
        let bytes = self.take(&mut token);
        self.check(major, minor)?;
        Ok(bytes)
    }

    fn name(&self, text: &str, kind: &'static [u8]) -> Result<Held<'_>, Problem> {
        if text.contains('\0') {
            return Err(Problem::of_name(text));
        }
        let buffer = Buffer { length: text.len(), value: text.as_ptr().cast_mut().cast() };
        let mut name = Held { gssapi: self, handle: null_mut(), kind: Kind::Name };
        let mut minor = 0;
        // SAFETY: the buffer is only read, during the call.
        let major =
            unsafe { (self.import_name)(&mut minor, &buffer, &oid(kind), &mut name.handle) };
        self.check(major, minor)?;
        Ok(name)
    }

    fn credential(
        &self,
        credentials: &Credentials,
        principal: Option<&Held<'_>>,
    ) -> Result<Held<'_>, Problem> {
        let keytab = match &credentials.keytab {
            None => None,
            Some(keytab) => {
                let path = keytab.display().to_string();
                Some(CString::new(path.clone()).map_err(|_| Problem::of_name(&path))?)
            }
        };
        let ccache = match &credentials.ccache {
            None => None,
            Some(ccache) => {
                Some(CString::new(ccache.as_str()).map_err(|_| Problem::of_name(ccache))?)
            }
        };
        let pair = |key: &'static CStr, value: &CString| KeyValue {
            key: key.as_ptr(),
            value: value.as_ptr(),
        };
        let pairs: Vec<KeyValue> = keytab
            .iter()
            .map(|keytab| pair(c"client_keytab", keytab))
            .chain(ccache.iter().map(|ccache| pair(c"ccache", ccache)))
            .collect();
        let store = KeyValues { count: pairs.len() as u32, elements: pairs.as_ptr() };
        let store = if pairs.is_empty() { null() } else { ptr::from_ref(&store) };

        let mut minor = 0;
        let mut credential = Held { gssapi: self, handle: null_mut(), kind: Kind::Credential };
        // SAFETY: the store, its texts and the name live until after the call, which copies what it keeps.
        let major = unsafe {
            (self.acquire_cred_from)(
                &mut minor,
                principal.map_or(null_mut(), |name| name.handle),
                // As long as the tickets last.
                0,
                null(),
                INITIATE,
                store,
                &mut credential.handle,
                null_mut(),
                null_mut(),
            )
        };
        self.check(major, minor)?;
        Ok(credential)
    }

    /// The bytes of a buffer that the library allocated.
    fn take(&self, buffer: &mut Buffer) -> Vec<u8> {
        if buffer.value.is_null() {
            return Vec::new();
        }
        let mut minor = 0;
        // SAFETY: the library says where its bytes are and how many; they are copied before it frees them.
        unsafe {
            let bytes = std::slice::from_raw_parts(buffer.value.cast(), buffer.length).to_vec();
            (self.release_buffer)(&mut minor, buffer);
            bytes
        }
    }

    fn check(&self, major: u32, minor: u32) -> Result<(), Problem> {
        if major & ERRORS == 0 {
            return Ok(());
        }
        let kerberos = self.status(minor, STATUS_OF_MECHANISM);
        let text = if minor == 0 || kerberos.is_empty() {
            self.status(major, STATUS_OF_GSS)
        } else {
            kerberos
        };
        Err(Problem { text, code: minor })
    }

    /// The library's words for a status.
    fn status(&self, status: u32, kind: c_int) -> String {
        let (mut minor, mut more) = (0, 0);
        let mut text = Buffer::EMPTY;
        // SAFETY: all pointers are to live locals. Only the first of several messages is asked for.
        let major = unsafe {
            (self.display_status)(&mut minor, status, kind, &oid(KERBEROS), &mut more, &mut text)
        };
        let bytes = self.take(&mut text);
        if major & ERRORS == 0 {
            String::from_utf8_lossy(&bytes).into_owned()
        } else {
            format!("status {status}")
        }
    }
}

enum Kind {
    Name,
    Credential,
    Context,
}

/// Something of the library's, given back when dropped.
struct Held<'a> {
    gssapi: &'a Gssapi,
    handle: Handle,
    kind: Kind,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.handle.is_null() {
            return;
        }
        let mut minor = 0;
        // SAFETY: the handle came from the library as this kind and is given back once.
        unsafe {
            match self.kind {
                Kind::Name => (self.gssapi.release_name)(&mut minor, &mut self.handle),
                Kind::Credential => (self.gssapi.release_cred)(&mut minor, &mut self.handle),
                Kind::Context => {
                    (self.gssapi.delete_sec_context)(&mut minor, &mut self.handle, null_mut())
                }
            };
        }
    }
}
