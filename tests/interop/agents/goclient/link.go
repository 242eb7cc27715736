package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"maps"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/open-telemetry/opamp-go/protobufs"
)

// link is how the agent reaches its server; an offer of connection settings replaces all of it.
type link struct {
	endpoint string
	header   http.Header
	tls      *tls.Config
	interval time.Duration
}

func firstLink(given options) link {
	header := http.Header{}
	for name, value := range given.headers {
		header.Set(name, value)
	}
	return link{given.endpoint, header, firstTls(given), given.interval}
}

// firstTls is nil for a server without TLS: the library takes any value for a wish to use it.
func firstTls(given options) *tls.Config {
	if given.ca == "" {
		return nil
	}
	authority, err := os.ReadFile(given.ca)
	if err != nil {
		fail("%v", err)
	}
	found := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	found.RootCAs.AppendCertsFromPEM(authority)
	if given.cert != "" {
		own, err := tls.LoadX509KeyPair(given.cert, given.key)
		if err != nil {
			fail("%v", err)
		}
		found.Certificates = []tls.Certificate{own}
	}
	return found
}

// takeSettings accepts an offer that is complete; the main goroutine connects anew, as a client cannot stop itself.
func (a *agent) takeSettings(_ context.Context, offered *protobufs.OpAMPConnectionSettings) error {
	headers := fields{}
	for _, one := range offered.GetHeaders().GetHeaders() {
		headers[one.Key] = one.Value
	}
	emit("connection_settings", fields{
		"endpoint":      offered.DestinationEndpoint,
		"heartbeat":     offered.HeartbeatIntervalSeconds,
		"headers":       headers,
		"cert":          string(offered.GetCertificate().GetCert()),
		"ca":            string(offered.GetCertificate().GetCaCert()),
		"has_cert_key":  len(offered.GetCertificate().GetPrivateKey()) > 0,
		"has_tls_field": offered.Tls != nil,
	})
	if offered.DestinationEndpoint == "" {
		return errors.New("there is no endpoint")
	}
	select {
	case a.offers <- offered:
		return nil
	default:
		return errors.New("another offer is being taken")
	}
}

// takeOtherSettings accepts where the agent's own telemetry goes.
func takeOtherSettings(_ context.Context, offered *protobufs.ConnectionSettingsOffers) error {
	emit("other_settings", fields{
		"hash":    hex.EncodeToString(offered.Hash),
		"metrics": offered.GetOwnMetrics().GetDestinationEndpoint(),
		"traces":  offered.GetOwnTraces().GetDestinationEndpoint(),
		"logs":    offered.GetOwnLogs().GetDestinationEndpoint(),
		"others":  slices.Sorted(maps.Keys(offered.OtherConnections)),
	})
	return nil
}

// reconnect leaves the server and goes to where the offer says, with nothing but what the offer holds.
func (a *agent) reconnect(offered *protobufs.OpAMPConnectionSettings) {
	a.stop()
	a.link = link{
		endpoint: offered.DestinationEndpoint,
		header:   http.Header{},
		interval: time.Duration(offered.HeartbeatIntervalSeconds) * time.Second,
	}
	for _, one := range offered.GetHeaders().GetHeaders() {
		a.link.header.Set(one.Key, one.Value)
	}
	if certificate := offered.GetCertificate(); len(certificate.GetCaCert()) > 0 {
		a.link.tls = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		a.link.tls.RootCAs.AppendCertsFromPEM(certificate.CaCert)
		if own, err := tls.X509KeyPair(certificate.Cert, certificate.PrivateKey); err == nil {
			a.link.tls.Certificates = []tls.Certificate{own}
		}
	}
	emit("reconnecting", fields{"endpoint": a.link.endpoint})
	if err := a.start(); err != nil {
		fail("reconnect: %v", err)
	}
}

// requestCertificate sends a certificate signing request for a new key.
func (a *agent) requestCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	a.mutex.Lock()
	name := uuid.UUID(a.uid).String()
	a.mutex.Unlock()
	wish := &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}
	der, err := x509.CreateCertificateRequest(rand.Reader, wish, key)
	if err != nil {
		return err
	}
	return a.client.RequestConnectionSettings(&protobufs.ConnectionSettingsRequest{
		Opamp: &protobufs.OpAMPConnectionSettingsRequest{
			CertificateRequest: &protobufs.CertificateRequest{
				Csr: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
			},
		},
	})
}
