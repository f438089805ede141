package endpoint

import (
	"errors"
	"net/url"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// The variables that choose. They are those of every AWS SDK.
// Source: AWS SDKs and Tools Reference Guide, "Dual-stack and FIPS endpoints", "Service-specific endpoints".
const (
	EnvFIPS       = "AWS_USE_FIPS_ENDPOINT"
	EnvDualStack  = "AWS_USE_DUALSTACK_ENDPOINT"
	EnvIgnoreURLs = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
	EnvURL        = prefix // of all services
	EnvRegion     = "AWS_REGION"

	prefix = "AWS_ENDPOINT_URL"
)

// Code is that of faults about hosts that the settings do not allow, or that do not exist.
const Code = "endpoint"

// URLVariables are the variables that name hosts, in the order of their names.
func URLVariables() []string {
	return []string{EnvURL, CloudWatch.Variable, SiteWise.Variable, KinesisVideo.Variable, SecretsManager.Variable, STS.Variable}
}

// Options say which hosts are used. They are comparable.
type Options struct {
	Choices
	// Set says which choices the environment made. The others are the SDK's configuration file's to make.
	Set Choices
	// Environment and File have the addresses that the operator named in variables and in the SDK's configuration file.
	Environment, File Addresses
	// Fixed is the address of all services, beside which nothing else counts: of a test. It is never refused.
	Fixed string
}

// Choices are those between the hosts of a service.
type Choices struct {
	FIPS, DualStack bool
	IgnoreURLs      bool // the operator's addresses count for nothing
}

// Addresses are URLs that the operator named; empty for none.
type Addresses struct{ All, KinesisVideo, SecretsManager, CloudWatch, STS, SiteWise string }

// Of is the address of one service, nil to get that of all.
func (a *Addresses) Of(s *Service) *string {
	switch s {
	case KinesisVideo:
		return &a.KinesisVideo
	case SecretsManager:
		return &a.SecretsManager
	case CloudWatch:
		return &a.CloudWatch
	case STS:
		return &a.STS
	case SiteWise, SiteWiseData:
		return &a.SiteWise
	default:
		return &a.All
	}
}

// Place is where a service is, and why there.
type Place struct {
	Service *Service
	URL     string
	Why     string // as people read it: "standard endpoint", "from AWS_ENDPOINT_URL"
	Setting string // what says so: a variable mostly
}

// Host is the host of the URL, with its port when it has one.
func (p Place) Host() string {
	u, err := url.Parse(p.URL)
	if err != nil || u.Host == "" {
		return p.URL
	}
	return u.Host
}

// kind is that of the endpoints that are chosen.
func (o Options) kind() Kind {
	switch {
	case o.FIPS && o.DualStack:
		return FIPSDualStack
	case o.FIPS:
		return FIPS
	case o.DualStack:
		return DualStack
	default:
		return Standard
	}
}

// Of chooses the service's host in a region. An error is a *health.Fault.
func (o Options) Of(s *Service, region string) (Place, error) {
	if o.Fixed != "" {
		return Place{Service: s, URL: o.Fixed, Why: "set", Setting: EnvRegion}, nil
	}
	if address, from := o.named(s); address != "" {
		return Place{Service: s, URL: address, Why: "from " + from, Setting: from}, o.check(s, address, from)
	}
	kind := o.kind()
	host := s.host(kind, region)
	if host == "" {
		return Place{Service: s, Why: "no " + kind.String() + " endpoint", Setting: EnvRegion}, o.none(s, kind, region)
	}
	return Place{Service: s, URL: "https://" + host, Why: kind.String() + " endpoint", Setting: EnvRegion}, nil
}

// inFile is where the SDK's configuration file has an address.
const inFile = "endpoint_url in the AWS configuration file"

// named returns the address that the operator named for a service, and where. What is for one service takes precedence,
// and what is in the environment, in that order of the SDK.
func (o Options) named(s *Service) (address, from string) {
	if o.IgnoreURLs {
		return "", ""
	}
	for _, a := range []struct{ address, from string }{
		{*o.Environment.Of(s), s.Variable}, {o.Environment.All, EnvURL}, {*o.File.Of(s), inFile}, {o.File.All, inFile},
	} {
		if a.address != "" {
			return a.address, a.from
		}
	}
	return "", ""
}

// FileFault says which address in the SDK's configuration file is none; nil when all are good, or none counts.
func (o Options) FileFault() error {
	if o.IgnoreURLs {
		return nil
	}
	for _, address := range []string{o.File.All, o.File.KinesisVideo, o.File.SecretsManager, o.File.CloudWatch, o.File.STS, o.File.SiteWise} {
		if wrong := URLFault(address); address != "" && wrong != "" {
			return errors.New(inFile + " " + wrong)
		}
	}
	return nil
}

// FileKey is how the SDK's configuration file names the service.
func (s *Service) FileKey() string { return strings.ReplaceAll(strings.ToLower(s.ID), " ", "_") }

// Given takes a host, host:port or URL that a setting or an answer named, and which is never changed. An error is a
// *health.Fault: with FIPS endpoints only those are used.
func (o Options) Given(s *Service, address string) (Place, error) {
	full := address
	if !strings.Contains(full, "://") {
		full = "https://" + full
	}
	place := Place{Service: s, URL: full, Why: "from " + s.Variable, Setting: s.Variable}
	if o.Fixed != "" {
		return place, nil
	}
	return place, o.check(s, full, s.Variable)
}

// check refuses other addresses than those of FIPS endpoints when only these may be used.
func (o Options) check(s *Service, address, from string) error {
	if !o.FIPS {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return health.UserFault(Code, nil, "The address in %s is not a URL: correct it.", from)
	}
	if u.Scheme == "https" && s.isFIPS(plain(u.Host)) {
		return nil
	}
	what := "is not the name of a FIPS endpoint of " + s.Name
	if u.Scheme != "https" {
		what = "is not reached over TLS"
	}
	if s == Media {
		return health.UserFault(Code, nil, "Kinesis Video Streams takes the media at %s (GetDataEndpoint), which %s, so nothing is sent there: "+
			"use a region whose data endpoints are FIPS ones, or set %s=false.", u.Host, what, EnvFIPS)
	}
	return health.UserFault(Code, nil, "%s is %s, which %s, so it is not used: name a FIPS endpoint there, or set %s=false.", from, u.Host,
		what, EnvFIPS)
}

// none says that a service has no endpoint of a kind in a region. It does not say to unset a variable: the choice may
// come from the SDK's configuration file, or from Greengrass.
func (o Options) none(s *Service, kind Kind, region string) error {
	off := EnvFIPS
	switch kind {
	case DualStack:
		off = EnvDualStack
	case FIPSDualStack:
		off += "=false or " + EnvDualStack
	}
	not := ""
	if o.IgnoreURLs {
		not = " and set " + EnvIgnoreURLs + "=false"
	}
	return health.UserFault(Code, nil, "%s has no %s endpoint in %s that is known here: set %s=false, or name one in %s%s.", s.Name, kind,
		region, off, s.Variable, not)
}
