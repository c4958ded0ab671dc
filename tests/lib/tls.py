# Makes a certificate for 127.0.0.1 with the openssl program, and puts a test's server behind it.
import os
import ssl
import subprocess


def make(folder):
    """(certificate, key) as files in `folder`."""
    certificate, key = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
    if not os.path.exists(certificate):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
                        "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def context(folder):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*make(folder))
    return made


def secure(server, folder):
    """From now on `server` speaks TLS; returns the certificate that a client has to trust."""
    server.socket = context(folder).wrap_socket(server.socket, server_side=True)
    server.scheme = "https"
    return make(folder)[0]
