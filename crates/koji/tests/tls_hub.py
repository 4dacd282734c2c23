"""A hub behind TLS as the stock Apache configuration has it: nobody is asked for a certificate in the handshake; only under
/ssllogin is the client asked, after its request came (TLS 1.3 post-handshake authentication).

    tls_hub.py DIR    makes keys and certificates in DIR (ca.pem, koschei.pem, stranger.pem), prints the port, serves until
                      its standard input is closed
"""

import pathlib
import socket
import ssl
import subprocess
import sys
import threading
import time
import xmlrpc.client


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def make_certificates(directory):
    def key_and_request(name, subject):
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        openssl("req", *key, "-keyout", f"{directory}/{name}.key", "-out", f"{directory}/{name}.csr", "-subj", subject)

    def authority(name):
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        openssl("req", "-x509", *key, "-keyout", f"{directory}/{name}.key", "-out", f"{directory}/{name}.pem",
                "-subj", f"/CN={name}", "-days", "2")

    def sign(name, ca, extensions=""):
        (directory / "extensions").write_text(extensions)
        openssl("x509", "-req", "-in", f"{directory}/{name}.csr", "-CA", f"{directory}/{ca}.pem", "-CAkey",
                f"{directory}/{ca}.key", "-CAcreateserial", "-days", "2", "-out", f"{directory}/{name}.crt",
                "-extfile", f"{directory}/extensions")
        both = (directory / f"{name}.crt").read_text() + (directory / f"{name}.key").read_text()
        (directory / f"{name}.pem").write_text(both)

    authority("ca")
    authority("other-ca")
    for name, ca, extensions in [("server", "ca", "subjectAltName=IP:127.0.0.1"), ("koschei", "ca", ""),
                                 ("stranger", "other-ca", "")]:
        key_and_request(name, f"/O=Test/CN={name}")
        sign(name, ca, extensions)


def read_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, body = data.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65536)
    return lines[0].split()[1], headers, body


def ask_for_certificate(connection):
    connection.verify_client_post_handshake()
    # The request for a certificate goes out with the next data.
    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    connection.settimeout(0.05)
    deadline = time.monotonic() + 20
    while not connection.getpeercert() and time.monotonic() < deadline:
        try:
            connection.recv(1)
        except TimeoutError:
            pass
    connection.settimeout(None)
    subject = dict(pair for part in connection.getpeercert()["subject"] for pair in part)
    return subject["commonName"]


USERS = []


def serve(context, raw):
    try:
        connection = context.wrap_socket(raw, server_side=True)
        while request := read_request(connection):
            path, headers, body = request
            _, method = xmlrpc.client.loads(body)
            if path == "/kojihub/ssllogin" and method == "sslLogin":
                USERS.append(ask_for_certificate(connection))
                answer = {"session-id": 1, "session-key": "key", "header-auth": True}
            elif path == "/kojihub" and method == "getLoggedInUser" and headers["koji-session-key"] == "key":
                certificate = "certificate" if connection.getpeercert() else "no certificate"
                answer = {"id": 2, "name": f"{USERS[-1]}, {certificate}", "status": 0, "usertype": 0}
            else:
                answer = xmlrpc.client.Fault(1000, f"unexpected {method} to {path}")
            answer = answer if isinstance(answer, xmlrpc.client.Fault) else (answer,)
            body = xmlrpc.client.dumps(answer, methodresponse=True).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
    except OSError:
        pass
    finally:
        raw.close()


def main():
    directory = pathlib.Path(sys.argv[1])
    make_certificates(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(directory / "server.pem")
    context.load_verify_locations(directory / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.post_handshake_auth = True
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def accept():
        while True:
            threading.Thread(target=serve, args=(context, listener.accept()[0]), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


main()
