package settings

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds"
)

// IoT is the hub's identity in AWS IoT.
type IoT struct {
	CACert             string // file: roots that sign the IoT endpoints
	Cert               string // file: the device certificate
	PrivateKey         string // file: its key
	CredentialEndpoint string // host[:port]
	DataEndpoint       string // host[:port], MQTT
	RoleAlias          string
	ThingName          string
	ClientID           string // at the MQTT broker; the thing's name, unless Greengrass connects by it
	// TokenExchange provides the credentials, when its URL is set; then there may be no role alias and
	// no credentials endpoint.
	TokenExchange iotcreds.TokenExchange
	// NoCertificate says why the hub has no device certificate, empty when it has. Without one it
	// has only ThingName, and TokenExchange for its credentials.
	NoCertificate string
	// NoThing says why the hub is not a thing of AWS IoT, empty when it is. Otherwise ThingName is only what the hub is called, there are
	// neither configurations of the cloud nor MQTT, and TokenExchange provides the credentials.
	NoThing string
}

// identity reads who the hub is. Greengrass provides the credentials where the certificate cannot:
// when its key cannot be read, or no role alias is known. Without the cloud it has a name only.
func (e *environment) identity(g greengrass, noCloud bool) IoT {
	if noCloud {
		return IoT{ // what is not used stays visible
			CACert: e.optional(EnvCACert, ""), Cert: e.optional(EnvCoreCert, ""), PrivateKey: e.optional(EnvCorePrivateKey, ""),
			CredentialEndpoint: e.optional(EnvCredentialEndpoint, ""), DataEndpoint: e.optional(EnvDataEndpoint, ""),
			RoleAlias: e.optional(EnvRoleAlias, ""), ThingName: e.optional(EnvThingName, hostName()), NoCertificate: EnvCloud + " is off",
		}
	}
	if e.optional(EnvSiteWiseHub, "") != "" && !e.ofAThing() {
		if !g.found {
			g.exchange = e.tokenExchange()
		}
		if g.exchange.URL != "" && e.optional(EnvThingName, "") == "" {
			return e.withoutThing(g.exchange)
		}
	}
	s := IoT{ThingName: e.required(EnvThingName, "the IoT thing name of this hub"), TokenExchange: g.exchange}
	s.ClientID = s.ThingName
	if g.found {
		s.ClientID += "-kvs-edge" // the broker ends the older of two clients of one name
	}
	if s.TokenExchange.URL != "" {
		e.checkTokenExchange(s.TokenExchange)
		if s.NoCertificate = g.noKey(e.optional(EnvCoreCert, ""), e.optional(EnvCorePrivateKey, "")); s.NoCertificate != "" {
			return s
		}
		s.RoleAlias, s.CredentialEndpoint = e.optional(EnvRoleAlias, ""), e.optional(EnvCredentialEndpoint, "")
	}
	if s.TokenExchange.URL == "" || s.RoleAlias != "" && s.CredentialEndpoint != "" {
		s.TokenExchange = iotcreds.TokenExchange{}
		s.RoleAlias = e.required(EnvRoleAlias, "the IoT role alias")
		s.CredentialEndpoint = e.endpoint(EnvCredentialEndpoint, "aws iot describe-endpoint --endpoint-type iot:CredentialProvider")
	}
	s.CACert = e.required(EnvCACert, "the file with Amazon's root CA")
	s.Cert = e.required(EnvCoreCert, "the file with the device certificate")
	s.PrivateKey = e.required(EnvCorePrivateKey, "the file with the device's private key")
	s.DataEndpoint = e.endpoint(EnvDataEndpoint, "aws iot describe-endpoint --endpoint-type iot:Data-ATS")
	return s
}

// ofAThing reports whether a variable is set that only a hub with a device certificate needs.
func (e *environment) ofAThing() bool {
	return slices.ContainsFunc([]string{EnvCoreCert, EnvCorePrivateKey, EnvRoleAlias, EnvCredentialEndpoint, EnvDataEndpoint},
		func(name string) bool { return e.optional(name, "") != "" })
}

// withoutThing is the identity of a hub that SiteWise configures, with the rights of the token exchange role alone.
func (e *environment) withoutThing(exchange iotcreds.TokenExchange) IoT {
	e.checkTokenExchange(exchange)
	why := EnvThingName + " is not set"
	return IoT{ThingName: hostName(), ClientID: hostName(), TokenExchange: exchange, NoCertificate: why, NoThing: why}
}

func (e *environment) checkTokenExchange(exchange iotcreds.TokenExchange) {
	if err := exchange.Check(); err != nil {
		e.fault("%s %s", EnvTokenExchange, err)
	}
}

// region is required but without the cloud.
func (e *environment) region(noCloud bool) string {
	if noCloud {
		return e.optional(EnvRegion, "")
	}
	return e.required(EnvRegion, "the AWS region, such as us-west-2")
}

// hostName is what a hub without a thing is called.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || !thingPattern.MatchString(name) {
		return "hub"
	}
	return name
}

// MetricsOptional reports whether nobody is alarmed when the hub may not send metrics: in a component of Greengrass they are on by
// default, and the role of the edge connector, which suffices for a hub of SiteWise, has no right for them.
func (s Settings) MetricsOptional() bool {
	return s.SiteWise.HubAsset != "" && s.IoT.TokenExchange.URL != ""
}

// TLS reads certificate, key and roots for the IoT endpoints; nil without a certificate.
func (s IoT) TLS() (*tls.Config, error) {
	if s.NoCertificate != "" {
		return nil, nil
	}
	cert, err := s.Pair()
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(s.CACert)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", EnvCACert, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no PEM certificate in %s", EnvCACert, s.CACert)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

// Pair reads certificate and key.
func (s IoT) Pair() (tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(s.Cert, s.PrivateKey)
	if err != nil {
		return cert, fmt.Errorf("%s (%s) and %s (%s) do not match: %w", EnvCoreCert, s.Cert, EnvCorePrivateKey, s.PrivateKey, err)
	}
	return cert, nil
}

// Signing reads the device's certificate and key, with which evidence is signed. The error says why there is none.
func (s IoT) Signing() (*tls.Certificate, error) {
	if s.Cert == "" || s.PrivateKey == "" {
		why := s.NoCertificate
		if why == "" {
			why = EnvCoreCert + " and " + EnvCorePrivateKey + " are not set"
		}
		return nil, fmt.Errorf("the device's certificate and its key are not known (%s)", why)
	}
	pair, err := s.Pair()
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("this user may not read the device's key %s: run it as root", s.PrivateKey)
	}
	return &pair, err
}
