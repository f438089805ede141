package web

import (
	"crypto/tls"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
)

// served is the name of the certificate that a server has now.
func served(t *testing.T, r *rig) string {
	t.Helper()
	r.mu.Lock()
	at := r.bound
	r.mu.Unlock()
	conn, err := tls.Dial("tcp", at.String(), &tls.Config{InsecureSkipVerify: true})
	must(t, err)
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// place puts a certificate and its key to where a server has its own.
func place(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	fresh, freshKey := testtools.DeviceFiles(t, t.TempDir(), name)
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	must(t, os.Rename(fresh, cert))
	must(t, os.Rename(freshKey, key))
	return cert, key
}

func TestARenewedCertificateIsReadAtTheNextHandshake(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := place(t, dir, "first.example")
	r := newRig(t, func(o *Options) { o.Certificate, o.Key = cert, key }).await()
	if got := served(t, r); got != "first.example" {
		t.Errorf("it is %s", got)
	}
	place(t, dir, "second.example")
	if got := served(t, r); got != "second.example" {
		t.Errorf("after the renewal it is %s", got)
	}
	must(t, os.WriteFile(key, []byte("no key"), 0o600))
	if got := served(t, r); got != "second.example" {
		t.Errorf("with a broken key it is %s", got)
	}
	if text := conditionText(r); !strings.Contains(text, "cannot be used (CERT)") || strings.Contains(text, "no key") {
		t.Errorf("the condition is %q", text)
	}
	must(t, os.Remove(key))
	if got := served(t, r); got != "second.example" {
		t.Errorf("without a key it is %s", got)
	}
	if text := conditionText(r); !strings.Contains(text, "key.pem cannot be read (KEY)") || !strings.Contains(text, "correct KEY") {
		t.Errorf("without a key the condition is %q", text)
	}
	place(t, dir, "third.example")
	if got := served(t, r); got != "third.example" || conditionText(r) != "" {
		t.Errorf("after the repair it is %s, with the condition %q", got, conditionText(r))
	}
	r.browser().want(http.StatusOK, http.MethodGet, "/sign-in", "")
	link, err := r.Link(localapi.WebLinkRequest{Role: "view"})
	must(t, err)
	if link.SelfSigned {
		t.Error("the operator's certificate is said to be the agent's")
	}
}

// conditionText is the sentence of the present condition.
func conditionText(r *rig) string {
	worst, _ := r.registry.Component("", health.JobAPI).Snapshot().Worst()
	return worst.Text
}

// TestALinkIsOfWhatTheCertificateNames and says when browsers will warn of it.
func TestALinkIsOfWhatTheCertificateNames(t *testing.T) {
	t.Parallel()
	made, err := newOwn("shop.example", time.Now())
	must(t, err)
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made.Certificate}), 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: made.Key}), 0o600))
	r := newRig(t, func(o *Options) { o.Address, o.Hostname, o.Certificate, o.Key = "0.0.0.0:0", "hub7", cert, key }).await()
	valid := r.certificate.current.Leaf
	for _, c := range []struct {
		at            time.Time
		trouble, said string
	}{
		{time.Now(), "", ""},
		{valid.NotBefore.Add(-time.Hour), "is valid from " + valid.NotBefore.UTC().Format(time.DateOnly), "check the hub's clock"},
		{valid.NotAfter.Add(time.Hour), "was valid until " + valid.NotAfter.UTC().Format(time.DateOnly), "renew it"},
		{time.Now(), "", ""},
	} {
		r.pass(c.at.Sub(r.now()))
		r.certificate.refresh()
		link, err := r.Link(localapi.WebLinkRequest{Role: "view"})
		must(t, err)
		names := []string{"localhost", "shop.example", "127.0.0.1", "::1"}
		if !slices.Equal(link.Names, names) || !strings.HasPrefix(link.URL, "https://localhost:") {
			t.Errorf("the link is %s, for %q", link.URL, link.Names)
		}
		if text := conditionText(r); !strings.Contains(link.Trouble, c.trouble) || !strings.Contains(link.Trouble, c.said) ||
			(link.Trouble == "") != (c.trouble == "") || !strings.Contains(text, c.trouble) || (text == "") != (c.trouble == "") {
			t.Errorf("at %v: the link says %q, status %q; want %q", c.at, link.Trouble, text, c.trouble)
		}
	}
}

func TestTheAgentsCertificateIsKeptAndRenewed(t *testing.T) {
	t.Parallel()
	r := newRig(t, everywhere).await()
	first, own := r.certificate.fingerprint()
	if !own {
		t.Error("it is said to be the operator's")
	}
	info, err := os.Stat(filepath.Join(r.o.Dir.Path(), CertificateFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its file: %v, %v", info, err)
	}
	again := newCertificate(r.o) // as after a restart
	if again.refresh(); again.current == nil {
		t.Fatal("there is none after a restart")
	}
	if second, _ := again.fingerprint(); second != first {
		t.Error("a restart makes another one")
	}
	if !again.names("localhost") || again.names("evil.example") {
		t.Error("it is for other names")
	}
	r.pass(ownValid - ownRenew)
	again.refresh()
	if third, _ := again.fingerprint(); third == first || !again.current.Leaf.NotAfter.After(r.now().Add(ownRenew)) {
		t.Error("it is not renewed in time")
	}
	must(t, os.WriteFile(filepath.Join(r.o.Dir.Path(), CertificateFile), []byte("damaged"), 0o600))
	again = newCertificate(r.o)
	if !again.refresh() {
		t.Error("a damaged file leaves none")
	}
	made, err := newOwn("", time.Unix(0, 0)) // before the clock was set
	must(t, err)
	unset, err := made.certificate()
	must(t, err)
	if unset.Leaf.NotAfter.Before(buildTime.Add(ownValid)) {
		t.Errorf("a hub whose clock was never set has a certificate until %v", unset.Leaf.NotAfter)
	}
}

func TestConditionsEnd(t *testing.T) {
	t.Parallel()
	for _, row := range []conditiontest.Row{
		{Code: "web-address", Job: health.JobAPI, Start: addressInUse},
		{Code: "web-certificate", Job: health.JobAPI, Start: brokenCertificate},
	} {
		t.Run(row.Code, func(t *testing.T) {
			t.Parallel()
			conditiontest.Check(t, row, conditiontest.Success)
		})
	}
}

// addressInUse has another program on the address.
func addressInUse(t *testing.T) conditiontest.Case {
	t.Helper()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	r := newRig(t, func(o *Options) { o.Address = other.Addr().String() })
	return conditiontest.Case{Health: r.registry, Now: time.Now, Step: 100 * time.Millisecond, Raise: func() {},
		Repair: func() { _ = other.Close() }}
}

// brokenCertificate has a file in the place of the certificate that is not one.
func brokenCertificate(t *testing.T) conditiontest.Case {
	t.Helper()
	dir := t.TempDir()
	cert, key := place(t, dir, "shop.example")
	must(t, os.WriteFile(cert, []byte("broken"), 0o600))
	r := newRig(t, func(o *Options) { o.Certificate, o.Key = cert, key })
	return conditiontest.Case{Health: r.registry, Now: time.Now, Step: 100 * time.Millisecond, Raise: func() {},
		Repair: func() { place(t, dir, "shop.example") }}
}
