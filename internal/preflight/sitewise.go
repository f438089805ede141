package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise"
)

// siteWiseCheck is what the findings about AWS IoT SiteWise are called.
const siteWiseCheck = "sitewise"

// checkSiteWise reads the hub's asset and each camera's, and returns what those want that are right and whose streams no file has.
func (c *checker) checkSiteWise(ctx context.Context, files []wantedStream) (wanted []wantedStream) {
	hub := c.settings.SiteWise.HubAsset
	if hub == "" {
		return nil
	}
	done := c.questions.begin("AWS IoT SiteWise")
	client := cloud.New(c.aws)
	read, err := sitewise.ReadHub(ctx, client, hub)
	done()
	if err != nil {
		c.bad(siteWiseCheck, c.withPolicy(sitewise.WhyOf(err).Text, err))
		return nil
	}
	if len(read.Cameras) == 0 {
		c.bad(siteWiseCheck, fmt.Sprintf("The asset %s (%s) has no cameras below it: associate camera assets with it.", hub, read.Name))
		return nil
	}
	owners := make(map[string]string) // of streams, the assets' names
	for i := range read.Cameras {
		one := &read.Cameras[i]
		if stream, ok := c.checkAsset(one, owners); ok {
			c.checkAssetRights(ctx, client, one)
			if !slices.ContainsFunc(files, func(w wantedStream) bool { return w.Name == stream.Name }) {
				wanted = append(wanted, stream)
			}
		}
	}
	c.noteTrickle(len(owners))
	c.good(siteWiseCheck, fmt.Sprintf("The asset %s (%s) has %s, %d of which can be followed.", hub, read.Name,
		humanize.Count(len(read.Cameras), "camera asset"), len(owners)))
	return wanted
}

// noteTrickle says whether players find live video of cameras of which nothing is uploaded, and what that costs.
func (c *checker) noteTrickle(cameras int) {
	switch {
	case cameras == 0:
	case c.settings.SiteWise.Trickle:
		c.good(siteWiseCheck, settings.EnvSiteWiseTrickle+" is on: of each camera of which nothing else is uploaded a fragment a minute is, "+
			"which is paid for as all video.")
	default:
		c.good(siteWiseCheck, "AWS's player asks for live video only of streams of which something was just uploaded: with "+
			settings.EnvSiteWiseTrickle+"=on a fragment a minute is, which costs.")
	}
}

// checkAsset checks the values of a camera asset.
func (c *checker) checkAsset(one *sitewise.Read, owners map[string]string) (w wantedStream, ok bool) {
	name := fmt.Sprintf("The camera asset %s (%s)", health.Clean(one.Name, maxAssetName), one.ID)
	if one.Err != nil {
		c.bad(siteWiseCheck, c.withPolicy(fmt.Sprintf("%s cannot be read: %s", name, sitewise.WhyOf(one.Err).Text), one.Err))
		return w, false
	}
	want, wrong := sitewise.Parse(one.Asset)
	for _, fault := range wrong {
		c.bad(siteWiseCheck, fmt.Sprintf("%s: %s.", name, strings.TrimSuffix(fault.String(), ".")))
	}
	if len(wrong) > 0 {
		return w, false
	}
	if owner, taken := owners[want.Stream]; taken {
		c.bad(siteWiseCheck, fmt.Sprintf("%s: %s is %s, as that of the asset %s: give each camera a stream of its own.", name,
			sitewise.StreamName, want.Stream, owner))
		return w, false
	}
	owners[want.Stream] = health.Clean(one.Name, maxAssetName)
	for _, note := range want.Notes {
		c.good(siteWiseCheck, fmt.Sprintf("%s: %s.", name, note))
	}
	if len(one.Missing) > 0 {
		c.good(siteWiseCheck, fmt.Sprintf("%s has no %s: what they are for is left out.", name, humanize.List(one.Missing)))
	}
	return wantedStream{Stream: sitewise.StreamOf(one.Asset, want, one.Changed), namesAge: true}, true
}

// maxAssetName bounds the name of an asset in a sentence, in runes.
const maxAssetName = 80

// checkAssetRights tries what requests and what is written back need, neither of which changes anything: a time of 1970 is refused
// where the right is there.
func (c *checker) checkAssetRights(ctx context.Context, client *cloud.Client, one *sitewise.Read) {
	deny := func(what, right string) {
		c.report(Finding{Check: "rights", Stream: one.Values[sitewise.StreamName], Text: fmt.Sprintf("The hub's role may not %s the camera "+
			"asset %s: allow it %s in %s.", what, health.Clean(one.Name, maxAssetName), right, c.policy())})
	}
	if id := one.Properties[sitewise.UploadedRange]; id != "" {
		refused, err := client.Put(ctx, []cloud.Entry{{Ref: cloud.Ref{Asset: one.ID, Property: id}, Time: time.Unix(1, 0)}})
		denied := cloud.IsDenied(err)
		for _, r := range refused {
			denied = denied || awserr.Classify(0, r.Code, r.Message).RightMissing()
		}
		if denied {
			deny("write values of", "iotsitewise:BatchPutAssetPropertyValue")
		}
	}
	if id := one.Properties[sitewise.UploadRequest]; id != "" {
		now := c.o.Now()
		_, err := client.History(ctx, cloud.Ref{Asset: one.ID, Property: id}, now.Add(-time.Second), now, 1)
		var answer *cloud.Error
		if cloud.IsDenied(err) && errors.As(err, &answer) {
			c.good("rights", fmt.Sprintf("The hub's role may not read the history of the camera asset %s (%s), so that of several requests within "+
				"10 s only the last is followed.", health.Clean(one.Name, maxAssetName), answer.Right()))
		}
	}
}
