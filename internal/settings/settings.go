// Package settings owns everything that turns the environment into values: the variables with their meanings and
// defaults, where they come from, the hub's identity, what Greengrass adds, and which changes need a restart. It must
// not act on any of the values.
package settings

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/pace"
)

// Settings is the agent's configuration from its environment. The names and defaults of AWS's
// agent hold; what is ours begins with AWS_KVS_EDGE_ as well.
// Source: KVS Developer Guide, "Deploy the edge agent", environment variables.
type Settings struct {
	Region string
	IoT    IoT
	// AccountID completes this hub's ARN. Without it, it is read from STS with the hub's own credentials.
	AccountID  string
	CloudWatch bool
	Log        Log
	// RecordingDirectory holds the media.
	RecordingDirectory string
	// StateDirectory holds the last good configuration and what must outlive the process.
	StateDirectory string
	// NoCloud says that the agent connects to no service of AWS: the hub records what its stream files say.
	NoCloud bool
	// StreamsDirectory holds the stream files; empty for none.
	StreamsDirectory string
	// SiteWise is the hub in AWS IoT SiteWise.
	SiteWise SiteWise
	// MediaDirectory holds the files that configurations with FILE_URI may play.
	MediaDirectory string
	// Socket is the path of the local API.
	Socket string
	// MetricsAddress is where Prometheus text is served beside the socket; empty for nowhere.
	MetricsAddress string
	// Web says where the web pages are served.
	Web Web
	// UploadMode is whether streams without a tag of their own are uploaded in their windows, live or on request.
	UploadMode UploadMode
	// DeleteAfter is what DeleteAfterUpload waits for.
	DeleteAfter DeleteAfter
	// NoFragmentTags leaves out the tags that say where fragments come from.
	NoFragmentTags bool
	// UploadCap is the most that all streams together send; nil without a limit.
	UploadCap *pace.Bandwidth
	// LineCap is how much the hub may send and receive over its line in a period; zero without a cap.
	LineCap meter.Cap
	// CABundle, when set, replaces the system's roots towards AWS services (AWS_CA_BUNDLE).
	CABundle string
	// Endpoints say which hosts of AWS are used.
	Endpoints endpoint.Options
	// CertFile has roots towards AWS services beside those of the system's directories (SSL_CERT_FILE).
	CertFile string
	Record
}

// SiteWise is the hub in AWS IoT SiteWise.
type SiteWise struct {
	HubAsset       string // id of the hub's asset; empty: SiteWise is not used
	RetentionHours int    // of streams that are created
	Trickle        bool   // a fragment a minute is uploaded of streams of which nothing else is
}

// Web is where the web pages are served, and with which certificate.
type Web struct {
	Address          string // empty for nowhere
	Certificate, Key string // files; empty: the agent's own certificate, or none on loopback
}

// Log says what is logged and where.
type Log struct {
	Level         string
	Directory     string
	MaxFileSizeMB int // 0: no limit
	RolloverCount int
}

var (
	regionPattern    = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-\d+$`)
	accountPattern   = regexp.MustCompile(`^\d{12}$`)
	thingPattern     = regexp.MustCompile(`^[a-zA-Z0-9:_-]{1,128}$`) // IoT API, CreateThing
	roleAliasPattern = regexp.MustCompile(`^[\w=,@-]{1,128}$`)       // IoT API, CreateRoleAlias
	addressPattern   = regexp.MustCompile(`^([A-Za-z0-9.-]*|\[[0-9A-Fa-f:.%]+\]):\d{1,5}$`)
)

// assetPattern is the id of an asset. Source: SiteWise API, assetId.
var assetPattern = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$|^externalId:[\w.:-]{2,128}$`)

// RegionFault says what the name of a region must be and is not, as the end of a sentence; "" when it has the form of one.
// Names such as fips-us-east-1 and us-east-1-fips, which older SDKs took for their FIPS endpoints, are none.
func RegionFault(name string) string {
	region := strings.TrimSuffix(strings.TrimPrefix(name, "fips-"), "-fips")
	switch {
	case !regionPattern.MatchString(region):
		return fmt.Sprintf("is %q, but must be a region such as us-west-2", name)
	case region != name:
		return fmt.Sprintf("is %q, but must be %s; %s=true chooses its FIPS endpoints", name, region, endpoint.EnvFIPS)
	}
	return ""
}

// FromEnv reads the settings. The error is a *Error that names every fault.
func FromEnv(lookup func(string) (string, bool)) (Settings, error) {
	return fromEnv(lookup, liteDirectory)
}

func fromEnv(lookup func(string) (string, bool), lite string) (Settings, error) {
	e := environment{lookup: lookup}
	lookup, greengrass, err := withGreengrass(lookup, lite)
	if err != nil {
		e.fault("%s", err)
	}
	e.lookup = lookup
	noCloud := e.oneOf(EnvCloud, "on", "off") == "off"
	s := Settings{
		NoCloud:          noCloud,
		StreamsDirectory: e.optional(EnvStreamsDirectory, ""),
		Region:           e.region(noCloud),
		IoT:              e.identity(greengrass, noCloud),
		AccountID:        e.optional(EnvAccountID, ""),
		CloudWatch:       e.boolean(EnvCloudWatchEnabled, false) && !noCloud,
		Log: Log{
			Level:         strings.ToUpper(e.optional(EnvLogLevel, "INFO")),
			Directory:     e.optional(EnvLogOutputDirectory, defaultLogDirectory),
			MaxFileSizeMB: e.number(EnvLogMaxFileSize, defaultLogMaxFileSize, 0, 10_000),
			RolloverCount: e.number(EnvLogRolloverCount, defaultLogRollover, 0, 10_000),
		},
		RecordingDirectory: e.optional(EnvRecordingDirectory, defaultRecordings),
		StateDirectory:     e.optional(EnvStateDirectory, e.optional(envSystemdStateDir, defaultStateDirectory)),
		Socket:             SocketPath(lookup),
		MetricsAddress:     e.optional(EnvMetricsAddress, ""),
		Web: Web{Address: e.optional(EnvWebAddress, ""), Certificate: e.optional(EnvWebCert, ""),
			Key: e.optional(EnvWebKey, "")},
		UploadMode:     UploadMode(e.oneOf(EnvUploadMode, string(UploadScheduled), string(UploadLive), string(UploadOnRequest))),
		DeleteAfter:    DeleteAfter(e.oneOf(EnvDeleteAfter, string(DeleteAfterUpload), string(DeleteAfterAudit))),
		NoFragmentTags: e.oneOf(EnvFragmentTags, "on", "off") == "off",
		CABundle:       e.optional(EnvCABundle, ""),
		CertFile:       e.optional(EnvCertFile, ""),
		Endpoints:      e.endpoints(),
		Record:         e.recordSettings(),
		SiteWise: SiteWise{HubAsset: strings.Trim(e.optional(EnvSiteWiseHub, ""), `"'`),
			RetentionHours: e.number(EnvSiteWiseRetention, defaultStreamRetention, 1, maxStreamRetention),
			Trickle:        e.oneOf(EnvSiteWiseTrickle, "off", "on") == "on"},
	}
	if s.UploadCap, err = pace.ParseBandwidth(e.optional(EnvUploadMaxBitrate, "")); err != nil {
		e.fault("%s: %s", EnvUploadMaxBitrate, err)
	}
	if s.LineCap, err = meter.Parse(e.optional(EnvUploadCap, "")); err != nil {
		e.fault("%s: %s", EnvUploadCap, err)
	}
	if noCloud && s.StreamsDirectory == "" {
		e.fault("%s is not set, but %s is off: it is the directory with the stream files, which say what is recorded", EnvStreamsDirectory,
			EnvCloud)
	}
	s.MediaDirectory = e.optional(EnvMediaDirectory, filepath.Join(s.StateDirectory, mediaName))
	e.check(s)
	if len(e.faults) > 0 {
		slices.Sort(e.faults)
		return Settings{}, &Error{Faults: e.faults}
	}
	return s, nil
}

// check finds what is set, but wrong.
func (e *environment) check(s Settings) {
	if wrong := RegionFault(s.Region); s.Region != "" && wrong != "" {
		e.fault("%s %s", EnvRegion, wrong)
	}
	if tz, ok := e.lookup("TZ"); ok && scheduler.CheckZone(tz) != nil {
		e.fault("TZ is %q, but must be a time zone such as Europe/Berlin", tz)
	}
	e.match(EnvAccountID, s.AccountID, accountPattern, "an account number of 12 digits")
	e.match(EnvThingName, s.IoT.ThingName, thingPattern, "a thing name: up to 128 letters, digits, : _ -")
	e.match(EnvSiteWiseHub, s.SiteWise.HubAsset, assetPattern, "the id of an asset of AWS IoT SiteWise, such as "+
		"0b6e7c1e-52d4-4d0c-9f3c-6f1d3f1c2a10")
	e.match(EnvRoleAlias, s.IoT.RoleAlias, roleAliasPattern, "a role alias: up to 128 letters, digits, _ = , @ -")
	e.match(EnvMetricsAddress, s.MetricsAddress, addressPattern, "[host]:port, such as :9464 for this machine only or 0.0.0.0:9464")
	e.match(EnvWebAddress, s.Web.Address, addressPattern, "[host]:port, such as :8443 for this machine only or 0.0.0.0:8443")
	switch {
	case s.Web.Certificate != "" && s.Web.Key == "":
		e.fault("%s is not set, but %s is: it is the file with the private key of that certificate", EnvWebKey, EnvWebCert)
	case s.Web.Key != "" && s.Web.Certificate == "":
		e.fault("%s is not set, but %s is: it is the file with the certificate of that private key", EnvWebCert, EnvWebKey)
	}
	if !slices.Contains(LogLevels, s.Log.Level) {
		e.fault("%s is %q, but must be one of %s", EnvLogLevel, s.Log.Level, strings.Join(LogLevels, ", "))
	}
	if !s.NoCloud {
		e.checkFiles(s)
	}
}

// checkFiles finds unreadable files and a key that is not the certificate's, so that a hub says
// so at once and not after its first reconnect.
func (e *environment) checkFiles(s Settings) {
	_ = e.roots(EnvCABundle, s.CABundle) // the SDK reads it again, and would not say which file it is
	readable := true
	for name, path := range map[string]string{
		EnvCACert: s.IoT.CACert, EnvCoreCert: s.IoT.Cert, EnvCorePrivateKey: s.IoT.PrivateKey,
		envTokenExchangeFile: s.IoT.TokenExchange.TokenFile,
	} {
		if path == "" {
			continue
		}
		if f, err := os.Open(path); err != nil {
			e.fault("%s: cannot read %s: %s", name, path, health.Reason(err))
			readable = false
		} else {
			_ = f.Close()
		}
	}
	if !readable || s.IoT.CACert == "" || s.IoT.Cert == "" || s.IoT.PrivateKey == "" {
		return
	}
	if _, err := s.IoT.TLS(); err != nil {
		e.fault("%s", err)
	}
}
