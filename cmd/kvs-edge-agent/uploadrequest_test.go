package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// asker is somebody in the cloud who asks a hub for uploads, by a broker that nobody here wrote.
type asker struct {
	t      *testing.T
	client mqtt.Client
	heard  chan uploadAnswer
	online chan string // what agent/status says
	synced chan string // what config/status says of which version
}

// uploadAnswer is a message of upload/status, as docs/mqtt.md describes it.
type uploadAnswer struct {
	RequestId, StreamName, Status, Details string
	FragmentsDone, FragmentsTotal          int
}

// newAsker starts the broker with the local cloud's certificates, and connects to it over TLS.
func newAsker(s *site) (a *asker, broker string) {
	s.t.Helper()
	files := make(map[string]string)
	for _, v := range s.cloud.AgentEnv("asker") {
		files[v.Name] = v.Value
	}
	ca := files["AWS_IOT_CA_CERT"]
	beside := func(name string) string { return filepath.Join(filepath.Dir(ca), name) }
	broker = testtools.Mosquitto(s.t, ca, beside("server.pem"), beside("server.key"))
	roots, err := os.ReadFile(ca)
	if err != nil {
		s.t.Fatal(err)
	}
	certificate, err := tls.LoadX509KeyPair(files["AWS_IOT_CORE_CERT"], files["AWS_IOT_CORE_PRIVATE_KEY"])
	if err != nil {
		s.t.Fatal(err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{certificate}}
	config.RootCAs.AppendCertsFromPEM(roots)
	a = &asker{t: s.t, heard: make(chan uploadAnswer, 1000), online: make(chan string, 1000), synced: make(chan string, 1000)}
	a.client = mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tls://" + broker).SetClientID("asker").SetTLSConfig(config))
	a.done(a.client.Connect())
	s.t.Cleanup(func() { a.client.Disconnect(100) })
	hear(a, "upload/status", func(m uploadAnswer) { a.heard <- m })
	hear(a, "agent/status", func(m struct{ Status string }) { a.online <- m.Status })
	hear(a, "config/status", func(m struct {
		SyncStatus      string
		LastUpdatedTime float64
	}) {
		a.synced <- fmt.Sprintf("%s %.0f", m.SyncStatus, m.LastUpdatedTime)
	})
	return a, broker
}

// hear passes on the messages of a topic.
func hear[T any](a *asker, leaf string, take func(T)) {
	a.t.Helper()
	a.done(a.client.Subscribe("kvs-edge/"+testThing+"/"+leaf, 1, func(_ mqtt.Client, m mqtt.Message) {
		var got T
		if err := json.Unmarshal(m.Payload(), &got); err != nil {
			a.t.Errorf("%s says %s: %v", leaf, m.Payload(), err)
		}
		take(got)
	}))
}

func (a *asker) done(token mqtt.Token) {
	a.t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		a.t.Fatalf("the asker: %v", token.Error())
	}
}

func (a *asker) ask(payload string) { a.tell("upload/request", payload) }

func (a *asker) tell(leaf, payload string) {
	a.t.Helper()
	a.done(a.client.Publish("kvs-edge/"+testThing+"/"+leaf, 1, false, payload))
}

// next waits for the next answer to a request.
func (a *asker) next(id string) uploadAnswer {
	a.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case got := <-a.heard:
			if got.RequestId == id {
				return got
			}
		case <-timeout:
			a.t.Fatalf("request %s is not answered", id)
		}
	}
}

// end waits for the last answer to a request.
func (a *asker) end(id string) uploadAnswer {
	a.t.Helper()
	for {
		if got := a.next(id); got.Status != "RUNNING" {
			return got
		}
	}
}

// await waits until a status is said.
func (a *asker) await(said <-chan string, status string) {
	a.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case got := <-said:
			if got == status {
				return
			}
		case <-timeout:
			a.t.Fatalf("%s is not said", status)
		}
	}
}

// demandSite is a hub with media on its disk of which nothing is uploaded unless it is asked for.
type demandSite struct {
	*site
	asker  *asker
	broker string
	want   []int64 // the producer times of the fragments on disk, in ms
}

func newDemandSite(t *testing.T, w world, fragments int, edits ...func(*types.EdgeConfig)) *demandSite {
	t.Helper()
	s := &demandSite{site: newSite(t, w)}
	s.want = s.backlog("door", fragments)
	s.configure("door", "rtsp://127.0.0.1:1/gone", append([]func(*types.EdgeConfig){inTwelve}, edits...)...)
	s.asker, s.broker = newAsker(s.site)
	return s
}

func inTwelveHours() int { return time.Now().Add(12 * time.Hour).Hour() }

func (s *demandSite) start() {
	s.t.Helper()
	s.startAgent("AWS_IOT_CORE_DATA_ATS_ENDPOINT=" + s.broker)
	s.asker.await(s.asker.online, "online")
}

// request is the payload that asks for the fragments from (inclusive) to (exclusive).
func (s *demandSite) request(id string, from, to int) string {
	return fmt.Sprintf(`{"RequestId":%q,"StreamName":"door","From":%.3f,"To":%.3f}`, id, float64(s.want[from])/1000, float64(s.want[to])/1000)
}

// reconfigure sends the stream a configuration with another upload schedule, and waits until it runs.
func (s *demandSite) reconfigure() {
	s.t.Helper()
	version := time.Now().Unix() + 100
	s.asker.tell("config/update", fmt.Sprintf(`{"StreamName":"door","StreamARN":"arn:aws:kinesisvideo:%s:%s:stream/door/1",`+
		`"CreationTime":1795000000,"LastUpdatedTime":%d,"EdgeConfig":`+
		`{"HubDeviceArn":%q,"RecorderConfig":{"MediaSourceConfig":{"MediaUriSecretArn":"arn:aws:secretsmanager:%s:%s:secret:door",`+
		`"MediaUriType":"RTSP_URI"}},`+
		`"UploaderConfig":{"ScheduleConfig":{"ScheduleExpression":"0 30 %d * * ? *","DurationInSeconds":60}}}}`,
		localcloud.Region, localcloud.Account, version, edgeconfig.HubARN(localcloud.Region, localcloud.Account, testThing),
		localcloud.Region, localcloud.Account, inTwelveHours()))
	s.asker.await(s.asker.synced, fmt.Sprintf("IN_SYNC %d", version))
}

// in counts the fragments of a range that the cloud has, and how often the most frequent is there.
func (s *demandSite) in(from, to int) (have, most int) {
	times := make(map[int64]int)
	for _, f := range s.cloud.Media().Fragments("door") {
		if at := f.Producer.UnixMilli(); at >= s.want[from] && at < s.want[to] {
			times[at]++
			most = max(most, times[at])
		}
	}
	return len(times), most
}

// askAndBegin asks for a range and waits until a part of it is in the cloud.
func (s *demandSite) askAndBegin(id string, from, to int) {
	s.t.Helper()
	s.asker.ask(s.request(id, from, to))
	s.eventually("a part of the range", func() error {
		if have, _ := s.in(from, to); have < 3 {
			return fmt.Errorf("%d fragments of it", have)
		}
		return nil
	})
}

// expectIncomplete checks that what was to come in the middle of an upload did.
func (s *demandSite) expectIncomplete(id string, from, to int) {
	s.t.Helper()
	if have, _ := s.in(from, to); have == to-from {
		s.t.Errorf("upload %s was done before it was disturbed", id)
	}
}

// expectDone waits for the last answer and looks whether the cloud has the range, each fragment at
// most this many times.
func (s *demandSite) expectDone(id string, from, to, times int) {
	s.t.Helper()
	n := to - from
	if got := s.asker.end(id); got.Status != "DONE" || got.FragmentsDone != n || got.FragmentsTotal != n || got.Details != "" {
		s.t.Errorf("upload %s ends with %+v", id, got)
	}
	if have, most := s.in(from, to); have != n || most > times {
		s.t.Errorf("upload %s: the cloud has %d of %d fragments, one of them %d times", id, have, n, most)
	}
}

func TestTheCloudAsksForUploadsAndTheAgentIsRestartedMeanwhile(t *testing.T) {
	inWorlds(t, theCloudAsksForUploadsAndTheAgentIsRestartedMeanwhile)
}

func theCloudAsksForUploadsAndTheAgentIsRestartedMeanwhile(t *testing.T, w world) {
	s := newDemandSite(t, w, 65)
	s.start()
	for _, row := range []struct{ id, payload, says string }{
		{"", `upload everything`, "not a JSON object"},
		{"a", `{"RequestId":"a","StreamName":"yard","From":1795233600,"To":1795233660}`, "This hub has no stream yard"},
		{"b", s.request("b", 7, 3), "To must be after From"},
		{"c", `{"RequestId":"c","StreamName":"door","From":1600000000.5,` +
			`"To":1600000060}`, "Nothing is recorded of stream door from 2020-09-13T12:26:40.5Z to 2020-09-13T12:27:40Z."},
	} {
		s.asker.ask(row.payload)
		if got := s.asker.end(row.id); got.Status != "FAILED" || !strings.Contains(got.Details, row.says) {
			t.Errorf("%s is answered with %+v, want %q", row.payload, got, row.says)
		}
	}

	// A request that comes twice is done once.
	s.asker.ask(s.request("twice", 40, 44))
	s.asker.ask(s.request("twice", 40, 44))
	s.expectDone("twice", 40, 44, 1)

	// What the service never accepts is reported.
	s.cloud.Media().Faults().Inject("door", media.ErrorAt(media.AtFragmentStart, 4002).Skip(1).Times(1))
	s.asker.ask(s.request("refused", 44, 47))
	if got := s.asker.end("refused"); got.Status != "FAILED" || got.FragmentsDone != 2 ||
		!strings.Contains(got.Details, "1 of 3 fragments stay on the hub") {
		t.Errorf("it ends with %+v", got)
	}

	// A new configuration in the middle restarts the stream's upload.
	s.askAndBegin("configured", 48, 63)
	s.reconfigure()
	s.expectIncomplete("configured", 48, 63)
	s.expectDone("configured", 48, 63, 1)

	// Killed in the middle, the agent continues at its next start.
	s.askAndBegin("killed", 15, 30)
	s.agent.kill()
	s.asker.await(s.asker.online, "offline") // the will
	s.start()
	s.expectDone("killed", 15, 30, 2)

	// Stopped in the middle as well, and nothing at all is repeated.
	s.askAndBegin("stopped", 0, 15)
	s.stopAgent()
	s.asker.await(s.asker.online, "offline")
	s.expectIncomplete("stopped", 0, 15)
	s.start()
	s.expectDone("stopped", 0, 15, 1)
	s.stopAgent()
}
