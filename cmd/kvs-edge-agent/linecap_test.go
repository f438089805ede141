package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// meteredLine is all connections of an agent to the cloud, through proxies that count.
type meteredLine struct{ links []*testtools.Link }

// newMeteredSite is a site whose agent, with the environment that is returned, reaches the cloud through the line alone.
func newMeteredSite(t *testing.T, w world) (s *site, line meteredLine, env []string) {
	t.Helper()
	api := testtools.NewLink(t, "")
	s = newSiteOf(t, w, func(o *localcloud.Options) { o.MediaEndpoint = "https://" + api.Address() })
	api.LeadTo(strings.TrimPrefix(s.cloud.Endpoint(), "https://"))
	broker, credentials := testtools.NewLink(t, s.cloud.MQTTEndpoint()), testtools.NewLink(t, s.cloud.CredentialEndpoint())
	return s, meteredLine{[]*testtools.Link{api, broker, credentials}}, []string{
		"AWS_ENDPOINT_URL=https://" + api.Address(), "AWS_IOT_CORE_DATA_ATS_ENDPOINT=" + broker.Address(),
		"AWS_IOT_CORE_CREDENTIAL_ENDPOINT=" + credentials.Address(), "AWS_KVS_EDGE_CLOUD_WATCH_ENABLED=TRUE",
	}
}

// passed is what the line carried, in both directions.
func (l meteredLine) passed() (sum int64) {
	for _, link := range l.links {
		sent, received := link.Passed()
		sum += sent + received
	}
	return sum
}

// capCondition is the agent's condition with that code.
func capCondition(s status.Snapshot, code string) (health.Condition, bool) {
	i := slices.IndexFunc(s.Agent, func(c status.Condition) bool { return c.Code == code })
	if i < 0 {
		return health.Condition{}, false
	}
	return s.Agent[i].Condition, true
}

func TestAMeteredLine(t *testing.T) { inWorlds(t, aMeteredLine) }

// aMeteredLine: what the agent counts is what the line carried; the backlog ends at its share, a request is sent beyond it, a
// kill forgets nothing, and with a larger cap everything arrives, once.
func aMeteredLine(t *testing.T, w world) {
	const size, fragment, kill = 6_000_000, 5 * 20_000, 300_000
	s, line, env := newMeteredSite(t, w)
	reset := (time.Now().Day()+14)%28 + 1 // not within this test
	setting := func(mb int) string {
		return fmt.Sprintf("AWS_KVS_EDGE_UPLOAD_CAP=%dMB/month@%d, overhead=1", mb, reset)
	}
	want := s.backlogOf("door", 80, fragment/5)
	s.configure("door", "rtsp://127.0.0.1:1/gone")
	s.startAgent(append(env, setting(size/1e6))...)
	cloud := s.cloud.Media()
	used := func() (used int64) {
		t.Helper()
		s.eventually("the count", func() error {
			before := line.passed()
			used = s.status().UploadCap.UsedBytes
			if after := line.passed(); after != before { // something is being sent
				return fmt.Errorf("the line carried %d bytes, then %d", before, after)
			}
			return nil
		})
		return used
	}
	capped := func() {
		t.Helper()
		s.eventually("that the backlog is held back", func() error {
			st, err := s.stream("door")
			if err != nil || st.Uploader.State != "waiting for the cap" {
				return fmt.Errorf("the upload is %q, %w", st.Uploader.State, err)
			}
			if c, ok := capCondition(s.status(), "upload-cap"); !ok || c.Severity != health.Degraded {
				return fmt.Errorf("the condition is %+v", c)
			}
			return nil
		})
	}
	capped()
	counted, carried := used(), line.passed()
	if off := counted - carried; off < -carried/100 || off > carried/100 {
		t.Errorf("%d bytes are counted, and the line carried %d", counted, carried)
	}
	t.Logf("%d bytes are counted, and the line carried %d", counted, carried)
	// Only the backlog was sent, and what no cap holds back.
	sent := len(cloud.Fragments("door"))
	if least := (size*9/10-1_000_000)/fragment - 1; int64(sent*fragment) > size*9/10 || sent < least {
		t.Errorf("%d fragments of the backlog were sent, want %d to %d", sent, least, size*9/10/fragment)
	}

	last := time.UnixMilli(want[len(want)-1]).UTC()
	if output, err := s.upload("--stream", "door", "--from", last.Format(time.RFC3339),
		"--to", last.Add(time.Second).Format(time.RFC3339)); err != nil {
		t.Errorf("a request is refused: %v\n%s", err, output)
	}
	s.eventually("the requested fragment", func() error {
		if list := cloud.Fragments("door"); len(list) != sent+1 || list[sent].Producer.UnixMilli() != last.UnixMilli() {
			return errNothingYet
		}
		return nil
	})

	s.agent.kill()
	carried = line.passed()
	s.startAgent(append(env, setting(size/1e6))...)
	capped()
	if counted, now := used(), line.passed(); counted < now || counted > now+kill {
		t.Errorf("after a kill %d bytes are counted, and the line carried %d, %d of them before the kill", counted, now, carried)
	}
	t.Logf("after a kill %d bytes are counted, and the line carried %d", used(), line.passed())
	if output, _, _ := s.command("status"); !strings.Contains(output, "of 6.0 MB used (9") {
		t.Errorf("status prints\n%s", output)
	}

	s.stopAgent()
	s.startAgent(append(env, setting(100*size/1e6))...)
	s.awaitFragments("door", want)
	s.stopAgent()
	if n := len(cloud.Fragments("door")); n > len(want)+2 { // what the kill may have repeated
		t.Errorf("%d fragments were sent, want %d", n, len(want))
	}
}
