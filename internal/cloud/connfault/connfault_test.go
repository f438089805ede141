package connfault

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/neterr"
)

var (
	broker = Server{Host: "a1-ats.example", Setting: "AWS_IOT_CORE_DATA_ATS_ENDPOINT", Endpoint: "IoT", Port: "8883",
		DeviceCertificate: "active, attached to the thing, and not expired"}
	keys = Server{Host: "c1.example", Setting: "AWS_IOT_CORE_CREDENTIAL_ENDPOINT", Endpoint: "credentials",
		Now:               time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		DeviceCertificate: "active, attached to thing hub-1, and that AWS_IOT_CORE_CERT is the file for this account and region"}
	service = Server{Host: "sts.example", Setting: "AWS_REGION", Service: "STS", DeviceCertificate: "active and of this account and region"}
)

func TestEachKindHasItsSentence(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		kind   neterr.Kind
		server Server
		class  health.Class
		want   string
	}{
		{neterr.Unreachable, broker, health.SystemError, "The IoT endpoint a1-ats.example cannot be reached on port 8883: check the hub's " +
			"internet connection and firewall."},
		{neterr.Unreachable, keys, health.SystemError, "The credentials endpoint c1.example cannot be reached: check the hub's internet " +
			"connection and firewall (port 443)."},
		{neterr.Unreachable, service, health.SystemError, "STS at sts.example cannot be reached: check the hub's internet connection and " +
			"firewall (port 443)."},

		{neterr.Timeout, broker, health.SystemError, "The IoT endpoint a1-ats.example does not answer on port 8883: check the hub's internet " +
			"connection and firewall."},
		{neterr.Timeout, keys, health.SystemError, "The credentials endpoint c1.example does not answer: check the hub's internet connection " +
			"and firewall (port 443)."},
		{neterr.Timeout, service, health.SystemError, "STS at sts.example does not answer: check the hub's internet connection and firewall " +
			"(port 443)."},

		{neterr.DNS, broker, health.SystemError, "The name of the IoT endpoint a1-ats.example cannot be resolved: check DNS and " +
			"AWS_IOT_CORE_DATA_ATS_ENDPOINT."},
		{neterr.DNS, keys, health.SystemError, "The name of the credentials endpoint c1.example cannot be resolved: check DNS and " +
			"AWS_IOT_CORE_CREDENTIAL_ENDPOINT."},
		{neterr.DNS, service, health.SystemError, "The name sts.example of STS cannot be resolved: check the hub's DNS and AWS_REGION."},

		{neterr.CertExpired, broker, health.UserError, "The certificate of a1-ats.example is not valid at the hub's time: set the clock (NTP)."},
		{neterr.CertExpired, keys, health.UserError, "The certificate of c1.example is not valid at 2026-03-04T05:06:07Z, the hub's time: set " +
			"the clock (NTP)."},
		{neterr.CertExpired, service, health.UserError, "The certificate of STS at sts.example is not valid at the hub's time: set the clock " +
			"(NTP)."},

		{neterr.Untrusted, broker, health.UserError, "The certificate of a1-ats.example is not signed by a CA in AWS_IOT_CA_CERT: check that " +
			"file, and whether a proxy intercepts TLS."},
		{neterr.Untrusted, keys, health.UserError, "The certificate of c1.example is not signed by a CA in AWS_IOT_CA_CERT: check that file, " +
			"and whether a proxy intercepts TLS."},
		{neterr.Untrusted, service, health.UserError, "The certificate of STS at sts.example is not signed by a CA that the hub trusts: check " +
			"AWS_IOT_CA_CERT and AWS_CA_BUNDLE, and whether a proxy intercepts TLS."},

		{neterr.HostnameMismatch, broker, health.UserError, "The server at a1-ats.example has a certificate for another name: correct " +
			"AWS_IOT_CORE_DATA_ATS_ENDPOINT."},
		{neterr.HostnameMismatch, keys, health.UserError, "The server at c1.example has a certificate for another name: correct " +
			"AWS_IOT_CORE_CREDENTIAL_ENDPOINT."},
		{neterr.HostnameMismatch, service, health.UserError, "The server at sts.example has a certificate for another name: correct AWS_REGION."},

		{neterr.Refused, broker, health.UserError, "AWS IoT refuses the device certificate: check that it is active, attached to the thing, " +
			"and not expired."},
		{neterr.Refused, keys, health.UserError, "AWS IoT refuses the device certificate: check that it is active, attached to thing hub-1, " +
			"and that AWS_IOT_CORE_CERT is the file for this account and region."},
		{neterr.Refused, service, health.UserError, "STS at sts.example refuses the device certificate: check that it is active and of this " +
			"account and region."},
	} {
		s := row.server.Sentence(row.kind)
		if got := health.NewFault(s.Class, "mqtt", nil, s.Format, s.Args...); got.Text != row.want || got.Class != row.class {
			t.Errorf("kind %d: got %s %q, want %s %q", row.kind, got.Class, got.Text, row.class, row.want)
		}
	}
}

// A condition stays the same one while the clock that it shows advances.
func TestTheHubsTimeMakesNoOtherFailure(t *testing.T) {
	t.Parallel()
	later := keys
	later.Now = later.Now.Add(time.Hour)
	registry := health.NewRegistry(time.Now)
	part := registry.Component("", health.JobCloud)
	var since []time.Time
	for _, server := range []Server{keys, later} {
		s := server.Sentence(neterr.CertExpired)
		part.Report(health.ScopeJob, health.Degraded, health.NewFault(s.Class, "credentials-clock", nil, s.Format, s.Args...))
		worst, _ := part.Snapshot().Worst()
		since = append(since, worst.Since)
	}
	if !since[0].Equal(since[1]) {
		t.Error("it counts as another condition an hour later")
	}
}
