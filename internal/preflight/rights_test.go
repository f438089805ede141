package preflight

import (
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site"
)

// hubRights are what deploy/aws/hubs.yaml grants beside the role and the policy of AWS's guide.
var hubRights = []string{
	"kinesisvideo:ListEdgeAgentConfigurations", "kinesisvideo:ListTagsForStream", "kinesisvideo:DescribeStreamStorageConfiguration",
	"kinesisvideo:ListFragments", "iot:RetainPublish",
}

var rightName = regexp.MustCompile(`\b(?:iot|kinesisvideo|secretsmanager|cloudwatch|kms|sts):[A-Z]\w+`)

// rights lists those that are named as missing, in order.
func (all findings) rights() []string {
	found := rightName.FindAllString(all.bad(), -1)
	slices.Sort(found)
	return found
}

// TestACheckNamesExactlyTheRightThatIsMissing takes one right at a time from a hub that has all, in a cloud like AWS.
func TestACheckNamesExactlyTheRightThatIsMissing(t *testing.T) {
	for right, named := range map[string][]string{
		"":                                         nil,
		"iot:Connect":                              {"iot:Connect"},
		"iot:Publish":                              {"iot:Publish"},
		"iot:RetainPublish":                        {"iot:RetainPublish"},
		"iot:Subscribe":                            {"iot:Receive", "iot:Subscribe"}, // who adds the one needs the other
		"iot:AssumeRoleWithCertificate":            {"iot:AssumeRoleWithCertificate"},
		"kinesisvideo:DescribeStream":              {"kinesisvideo:DescribeStream"},
		"kinesisvideo:GetDataEndpoint":             {"kinesisvideo:GetDataEndpoint"},
		"kinesisvideo:ListTagsForStream":           {"kinesisvideo:ListTagsForStream"},
		"kinesisvideo:PutMedia":                    {"kinesisvideo:PutMedia"},
		"kinesisvideo:ListEdgeAgentConfigurations": {"kinesisvideo:ListEdgeAgentConfigurations"},
		"secretsmanager:GetSecretValue":            {"secretsmanager:GetSecretValue"},
		"cloudwatch:PutMetricData":                 {"cloudwatch:PutMetricData"},
	} {
		t.Run(strings.ReplaceAll(right, ":", "-"), func(t *testing.T) {
			h := newRig(t, func(o *localcloud.Options) {
				o.AsAWS, o.Allow = true, hubRights
				if right != "" {
					o.Deny = []string{right}
				}
			})
			h.Env[settings.EnvCloudWatchEnabled] = "TRUE"
			camera := h.Camera(fakecam.Options{})
			camera.Unplug()                                 // a look at it takes seconds
			for _, name := range []string{"door", "yard"} { // a right is named once, however many streams need it
				h.Configure(name, h.Secret(name, camera.URL()))
			}
			all, _ := h.check()
			if !slices.Equal(all.rights(), named) {
				t.Errorf("it names %q, want %q:\n%s", all.rights(), named, all)
			}
			if right != "" && !strings.Contains(all.bad(), "policy") {
				t.Errorf("where to add it is not said:\n%s", all.bad())
			}
		})
	}
}

// TestACheckNamesTheStorageTier, or the right to read it, which nothing needs.
func TestACheckNamesTheStorageTier(t *testing.T) {
	for want, deny := range map[string][]string{
		"Kinesis Video Streams stores the stream in the HOT tier.": nil,
		"kinesisvideo:DescribeStreamStorageConfiguration":          {"kinesisvideo:DescribeStreamStorageConfiguration"},
	} {
		h := newRig(t, func(o *localcloud.Options) { o.AsAWS, o.Allow, o.Deny = true, hubRights, deny })
		camera := h.Camera(fakecam.Options{})
		camera.Unplug() // a look at it takes seconds
		h.Configure("door", h.Secret("door", camera.URL()))
		all, _ := h.check()
		if !strings.Contains(all.String(), want) || strings.Contains(all.bad(), "torage tier") {
			t.Errorf("it lacks %q:\n%s", want, all)
		}
	}
}

// TestACheckSaysWhetherAuditsMayList what the cloud has, which nothing else needs.
func TestACheckSaysWhetherAuditsMayList(t *testing.T) {
	for want, deny := range map[string][]string{
		"The hub's role may list the fragments of the stream": nil,
		"which only audits need; kinesisvideo:ListFragments":  {"kinesisvideo:ListFragments"},
	} {
		h := newRig(t, func(o *localcloud.Options) { o.AsAWS, o.Allow, o.Deny = true, hubRights, deny })
		camera := h.Camera(fakecam.Options{})
		camera.Unplug() // a look at it takes seconds
		h.Configure("door", h.Secret("door", camera.URL()))
		all, _ := h.check()
		if !strings.Contains(all.String(), want) || strings.Contains(all.bad(), "ragments") {
			t.Errorf("it lacks %q:\n%s", want, all)
		}
	}
}

// TestACheckTriesNoUploadBesideARunningAgent whose connection it would end.
func TestACheckTriesNoUploadBesideARunningAgent(t *testing.T) {
	h := newRig(t)
	h.Configure("door", h.Secret("door", h.Camera(fakecam.Options{}).URL()), site.Always)
	h.Env[settings.EnvUploadMode] = "live"
	h.run(agent.Options{})
	must(t, h.Cloud.Media().AwaitFragments(t.Context(), "door", 1))
	all, ok := h.check()
	if !ok || !strings.Contains(all.String(), "kinesisvideo:PutMedia is not tried") {
		t.Errorf("it says\n%s", all)
	}
	if n := h.Cloud.Media().Stats("door").Displaced; n != 0 {
		t.Errorf("the upload was ended %d times", n)
	}
}

// TestACheckEndsNoConnectionOfAnAgentThatItMayNotAsk since its socket is for others, or it is stuck.
func TestACheckEndsNoConnectionOfAnAgentThatItMayNotAsk(t *testing.T) {
	h := newRig(t)
	camera := h.Camera(fakecam.Options{})
	camera.Unplug()
	h.Configure("door", h.Secret("door", camera.URL()))
	stuck := filepath.Join(h.Dir, "stuck.sock")
	listener, err := net.Listen("unix", stuck)
	must(t, err)
	busy := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	server := &http.Server{Handler: http.HandlerFunc(busy)}
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Close() }()
	h.Env[settings.EnvSocket] = stuck
	all, _ := h.check()
	for _, want := range []string{"MQTT answers at", "kinesisvideo:PutMedia is not tried"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("it lacks %q:\n%s", want, all)
		}
	}
}
