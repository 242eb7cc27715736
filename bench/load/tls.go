package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// Connections by TLS 1.3 with a client certificate: one goroutine for each agent, which reads.

const handshakePatience = 60 * time.Second

type tlsDialer struct {
	fleet    *fleet
	address  string
	settings *tls.Config
}

type tlsLink struct{ conn *tls.Conn }

func newTLSDialer(f *fleet, address, ca, cert, key string) (*tlsDialer, error) {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New(ca + " holds no certificate")
	}
	settings := &tls.Config{
		MinVersion:             tls.VersionTLS13,
		RootCAs:                roots,
		ServerName:             "127.0.0.1",
		SessionTicketsDisabled: true,
		CurvePreferences:       []tls.CurveID{tls.X25519},
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return &tlsDialer{f, address, settings}, nil
}

func (d *tlsDialer) dial(a *agent) { go d.serve(a) }

func (d *tlsDialer) serve(a *agent) {
	conn, err := d.open(a.number)
	a.mu.Lock()
	if err != nil {
		d.fleet.lost(a, err)
		a.mu.Unlock()
		return
	}
	own := &tlsLink{conn}
	err = d.fleet.connected(a, own)
	a.mu.Unlock()
	buffer := make([]byte, 4<<10)
	for err == nil {
		var size int
		if size, err = conn.Read(buffer); err == nil {
			a.mu.Lock()
			if a.link != own {
				a.mu.Unlock()
				return
			}
			err = d.fleet.feed(a, buffer[:size])
			a.mu.Unlock()
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.link == own {
		d.fleet.lost(a, err)
	}
}

func (d *tlsDialer) open(number int) (*tls.Conn, error) {
	local := source(number)
	dialer := net.Dialer{
		Timeout:   handshakePatience,
		KeepAlive: -1,
		LocalAddr: &net.TCPAddr{IP: net.IP(local[:])},
		Control: func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) {
				syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, ipBindAddressNoPort, 1)
			})
		},
	}
	plain, err := dialer.Dial("tcp4", d.address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(plain, d.settings)
	conn.SetDeadline(time.Now().Add(handshakePatience))
	if err := conn.Handshake(); err != nil {
		plain.Close()
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	return conn, nil
}

func (l *tlsLink) write(data []byte) error {
	_, err := l.conn.Write(data)
	return err
}

// drop closes the socket below: a crash says no goodbye.
func (l *tlsLink) drop() { l.conn.NetConn().Close() }
