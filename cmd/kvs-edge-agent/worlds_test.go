package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
)

// world is how the local cloud of a test behaves.
type world uint8

const (
	ourContract world = iota // it answers the messages of docs/mqtt.md, so that SyncStatus moves
	asAWS                    // it answers nothing that AWS would not answer, with the rights that deploy/aws/hubs.yaml grants
)

func (w world) String() string { return [...]string{"our-contract", "as-aws"}[w] }

// oneWorld are the end-to-end tests that run in one world only, by name, with the reason.
var oneWorld = map[string]struct {
	world world
	why   string
}{
	"TestDemoLosesNothingAndRepeatsNothing": {ourContract,
		"the demo shows SyncStatus reaching IN_SYNC, which AWS's service never says of this agent"},
	"TestDescribeFollowsTheCameraBeingUnpluggedAndPluggedIn": {ourContract,
		"in AWS DescribeEdgeConfiguration has no EdgeAgentStatus of this agent"},
}

// worldsVariable chooses what end-to-end tests run in: "both" runs every test in both worlds, "as-aws"
// and "our-contract" in that one. Without it the tests of longTests run in our contract only, the rest in both.
const worldsVariable = "KVS_EDGE_TEST_WORLDS"

// longTests take so long that a second run of them is left to `make check` and `make long-as-aws`.
var longTests = []string{
	"TestRows", "TestSixteenCamerasLoseNothing", "TestFourOfSixteenCamerasMisbehave", "TestRecordingNeverPausesWhateverIsCut",
	"TestKilledAtAnyMomentLosesNoCompletedFragment", "TestKilledDuringUploadsLosesNothingAndRepeatsLittle",
	"TestEventsAreCompleteHoweverOftenTheAgentIsKilled", "TestEventsSurviveWhateverHappensToTheHub",
	"TestATagMakesAStreamLiveAndTheNewestGoesFirst", "TestTheCloudAsksForUploadsAndTheAgentIsRestartedMeanwhile",
}

// worldsOf lists the worlds that a test is to run in.
func worldsOf(name string) []world {
	switch chosen := os.Getenv(worldsVariable); {
	case chosen == ourContract.String():
		return []world{ourContract}
	case chosen == asAWS.String():
		return []world{asAWS}
	case chosen == "" && slices.Contains(longTests, name):
		return []world{ourContract}
	}
	return []world{ourContract, asAWS}
}

// inWorlds runs an end-to-end test in each world, as a subtest of the world's name.
func inWorlds(t *testing.T, test func(t *testing.T, w world)) {
	t.Helper()
	t.Parallel()
	name, _, _ := strings.Cut(t.Name(), "/")
	only, limited := oneWorld[name]
	for _, w := range worldsOf(name) {
		if limited && os.Getenv(worldsVariable) == asAWS.String() && w == asAWS {
			w = only.world // or `make check` would not run it with other roots
		}
		if limited && w != only.world {
			t.Logf("not run %s: %s", w, only.why)
			continue
		}
		t.Run(w.String(), func(t *testing.T) {
			t.Parallel()
			test(t, w)
		})
	}
}

// shiftedClock is the wall clock, moved on by a test that would otherwise wait for minutes.
type shiftedClock struct {
	mu sync.Mutex
	by time.Duration
}

func (c *shiftedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.by)
}

func (c *shiftedClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by += d
}

// action finds the names of IAM actions in a CloudFormation template.
var action = regexp.MustCompile(`\b(?:kinesisvideo|secretsmanager|cloudwatch|iot):[A-Z][A-Za-z]+`)

// documentedRights are the actions that deploy/aws/hubs.yaml allows hubs, in their role and their IoT policy.
func documentedRights(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "aws", "hubs.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	hubs, _, found := strings.Cut(string(text), "\n  Changes:\n") // what follows is the account's, not the hubs'
	if !found {
		t.Fatal("deploy/aws/hubs.yaml has no resource Changes behind those of the hubs")
	}
	rights := slices.DeleteFunc(action.FindAllString(hubs, -1), func(name string) bool {
		return name == "iot:Connection" // of the variable iot:Connection.Thing.ThingName
	})
	if len(rights) < 8 {
		t.Fatalf("deploy/aws/hubs.yaml allows hubs %v only", rights)
	}
	return rights
}

// cloudOptions are those of the local cloud in a world.
func cloudOptions(t *testing.T, w world) localcloud.Options {
	t.Helper()
	if w != asAWS {
		return localcloud.Options{}
	}
	return localcloud.Options{AsAWS: true, Allow: documentedRights(t)}
}

// start sends an edge configuration. As AWS has it a former one must first be SYNC_FAILED, 15 minutes after it was sent,
// and the hub is notified of the new one by the function of deploy/aws/hubs.yaml, which publishes config/refresh.
func (s *site) start(stream string, config *types.EdgeConfig) {
	s.t.Helper()
	if s.world == asAWS {
		s.passSyncing(stream)
	}
	s.eventually("starting the edge configuration of "+stream, func() error {
		_, err := s.kvs.StartEdgeConfigurationUpdate(s.t.Context(), &kinesisvideo.StartEdgeConfigurationUpdateInput{
			StreamName: aws.String(stream), EdgeConfig: config,
		})
		var underWay *types.ResourceInUseException
		if err != nil && !errors.As(err, &underWay) {
			s.t.Fatal(err)
		}
		return err // the former configuration may not have been acknowledged yet
	})
	if s.world == asAWS {
		s.publishRefresh()
	}
}

// passSyncing has the 15 minutes pass that AWS waits for an acknowledgement.
func (s *site) passSyncing(stream string) {
	out, err := s.kvs.DescribeEdgeConfiguration(s.t.Context(), &kinesisvideo.DescribeEdgeConfigurationInput{StreamName: &stream})
	if err == nil && out.SyncStatus == types.SyncStatusSyncing {
		s.clock.advance(15 * time.Minute)
	}
}

// publishRefresh is the last line of the function in deploy/aws/hubs.yaml: iot-data Publish, signed by the account.
func (s *site) publishRefresh() {
	s.t.Helper()
	env := map[string]string{}
	for _, v := range s.cloud.UserEnv() {
		env[v.Name] = v.Value
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	target := s.cloud.Endpoint() + "/topics/kvs-edge%2F" + testThing + "%2Fconfig%2Frefresh?qos=1"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader("{}"))
	if err != nil {
		s.t.Fatal(err)
	}
	const payload = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" // SHA-256 of {}
	key := aws.Credentials{AccessKeyID: env["AWS_ACCESS_KEY_ID"], SecretAccessKey: env["AWS_SECRET_ACCESS_KEY"]}
	if err := v4.NewSigner().SignHTTP(ctx, key, request, payload, "iotdata", localcloud.Region, time.Now()); err != nil {
		s.t.Fatal(err)
	}
	bundle, err := os.ReadFile(env["AWS_CA_BUNDLE"])
	if err != nil {
		s.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		s.t.Fatalf("iot-data Publish is answered with %s", response.Status)
	}
}

func TestTheTablesNameEndToEndTests(t *testing.T) {
	t.Parallel()
	var source []byte
	files, err := filepath.Glob("*_test.go")
	for _, name := range files {
		text, readErr := os.ReadFile(name)
		if source = append(source, text...); readErr != nil {
			t.Fatal(readErr)
		}
	}
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	names := slices.Clone(longTests)
	for name := range oneWorld {
		names = append(names, name)
	}
	for _, name := range names {
		if !bytes.Contains(source, []byte("func "+name+"(t *testing.T)")) {
			t.Errorf("there is no test %s", name)
		}
	}
}
