package archtest

import (
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// dialMakers are what a connection can be opened with, by the package that has it.
var dialMakers = map[string][]string{
	"net":        {"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialIP", "DialUnix", "Dialer"},
	"crypto/tls": {"Dial", "DialWithDialer", "Dialer"},
	"syscall":    {"Connect"}, "golang.org/x/sys/unix": {"Connect"},
}

// mayDial are the packages that open connections, and to whom.
var mayDial = map[string]string{
	"internal/cloud/awsclient":     "AWS: all of them, counted by the meter",
	"internal/camera":              "cameras",
	"internal/localapi":            "the agent, over its socket",
	"internal/localapi/socket":     "the agent, over its socket",
	"internal/testtools":           "servers of tests",
	"internal/testtools/lossy":     "servers of tests",
	"internal/testtools/webtunnel": "cameras of tests",
	"internal/testtools/thinline":  "servers of tests",
	"bench/upload":                 "the local cloud, past the agent",
	"bench/recording":              "a camera, past the agent",
	"bench/soak":                   "the agent, over its socket",
}

// TestOnePackageDialsAWS finds connections that would not count for the cap of a metered line. Those of HTTP clients are in
// TestOnePackageMakesClientsForAWS.
func TestOnePackageDialsAWS(t *testing.T) {
	t.Parallel()
	onlyThese(t, dialMakers, mayDial, "opens a connection by %s: take awsclient.Dial for AWS, so that it is counted",
		"opens no connection")
}

func TestConnectionsAreFoundHoweverTheyAreMade(t *testing.T) {
	t.Parallel()
	const source = `package p
import ("net"; secure "crypto/tls"; "golang.org/x/sys/unix")
var a net.Dialer
func f(d *net.Dialer) {
	_ = &net.Dialer{}
	_ = new(net.Dialer).DialContext
	net.Dial("tcp", "x")
	secure.Dial("tcp", "x", nil)
	unix.Connect(0, nil)
	dial := net.DialTimeout
	d.Dial("tcp", "x")
	dial("tcp", "x", 0)
}`
	parsed, err := parser.ParseFile(token.NewFileSet(), "p.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := madeWith(parsed, dialMakers)
	slices.Sort(got)
	want := []string{"net.Dial", "net.DialTimeout", "net.Dialer", "net.Dialer", "net.Dialer", "secure.Dial", "unix.Connect"}
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}
