package preflight

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

const siteWiseHub = "0b6e7c1e-52d4-4d0c-9f3c-6f1d3f1c2a10"

// siteWiseRig is a hub with cameras in SiteWise, in a cloud like AWS whose role has what the guide of the edge connector grants.
func siteWiseRig(t *testing.T, deny ...string) *rig {
	t.Helper()
	secret := "arn:aws:secretsmanager:us-west-2:123456789012:secret:front"
	h := newRig(t, func(o *localcloud.Options) {
		o.AsAWS, o.Deny = true, deny
		o.Seed = &localcloud.Seed{Hubs: []localcloud.SeedHub{{Name: "hub-1", ID: siteWiseHub, Cameras: []sitewise.SeedCamera{
			{Name: "a-front", Stream: "front-door", Secret: secret, CaptureStart: "* * * * *"},
			{Name: "b-twin", Stream: "front-door", Secret: secret},
			{Name: "c-wrong", Stream: "side", Secret: secret, CaptureStart: "at eight"},
		}}}}
	})
	h.Env[settings.EnvSiteWiseHub] = siteWiseHub
	_, err := h.Cloud.CreateStream("front-door", 24)
	must(t, err)
	return h
}

// TestACheckReadsEachAssetPropertyAndRight of SiteWise.
func TestACheckReadsEachAssetPropertyAndRight(t *testing.T) {
	h := siteWiseRig(t)
	camera := h.Camera(fakecam.Options{})
	camera.Unplug()
	all, ok := h.check()
	if ok {
		t.Error("all is well")
	}
	var texts []string
	for _, f := range all {
		if f.Check == siteWiseCheck || f.Check == "rights" {
			texts = append(texts, f.Text)
		}
	}
	got := strings.Join(texts, "\n")
	for _, want := range []string{
		"The camera asset b-twin (", "KinesisVideoStreamName is front-door, as that of the asset a-front: give each camera a stream of its own.",
		`CaptureStartTime is "at eight", but must be -, * * * * *, or a schedule`,
		"has 3 camera assets, 1 of which can be followed.",
		"with AWS_KVS_EDGE_SITEWISE_TRICKLE=on a fragment a minute is, which costs.",
		"so that of several requests within 10 s only the last is followed.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no finding says %q:\n%s", want, got)
		}
	}
	if !slices.ContainsFunc(all, func(f Finding) bool { return f.Stream == "front-door" && f.Check == "secret" }) {
		t.Error("the secret of front-door is not checked")
	}
}

func TestACheckNamesTheMissingRightsOfSiteWise(t *testing.T) {
	for _, right := range []string{"DescribeAsset", "DescribeAssetModel", "ListAssociatedAssets", "GetAssetPropertyValue",
		"BatchPutAssetPropertyValue"} {
		t.Run(right, func(t *testing.T) {
			h := siteWiseRig(t, "iotsitewise:"+right)
			all, ok := h.check()
			if text := all.bad(); ok || !strings.Contains(text, "iotsitewise:"+right+" in the policy of the role behind the role alias") {
				t.Errorf("it says\n%s", text)
			}
		})
	}
}

// TestAHubOfSiteWiseWithoutCameras: a thing that may not list configurations does without them, also while no camera is there yet.
func TestAHubOfSiteWiseWithoutCameras(t *testing.T) {
	h := newRig(t, func(o *localcloud.Options) {
		o.AsAWS, o.Deny = true, []string{"kinesisvideo:ListEdgeAgentConfigurations"}
		o.Seed = &localcloud.Seed{Hubs: []localcloud.SeedHub{{Name: "hub-1", ID: siteWiseHub}}}
	})
	h.Env[settings.EnvSiteWiseHub] = siteWiseHub
	all, _ := h.check()
	for _, f := range all {
		if !f.OK && f.Check != siteWiseCheck {
			t.Errorf("check is not content with %s: %s", f.Check, f.Text)
		}
	}
	if said := fmt.Sprint(all); !strings.Contains(said, "The hub follows AWS IoT SiteWise alone.") {
		t.Errorf("check does not say what the hub follows:\n%s", said)
	}
	h.run(agent.Options{})
	h.awaitRunning()
	testtools.Eventually(t, patience, func() error {
		if said := fmt.Sprint(h.snapshot().Agent); !strings.Contains(said, "it follows its other sources alone") {
			return errors.New(said)
		}
		return nil
	})
	for _, c := range h.snapshot().Agent {
		if c.Severity > health.Info {
			t.Errorf("status alarms: %+v", c)
		}
	}
}
