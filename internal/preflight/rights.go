package preflight

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/cloudwatch"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/secrets"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/metrics"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// mediaTimeout is how long PutMedia may take to refuse the hub: a denial comes before any media.
const mediaTimeout = 5 * time.Second

// policy names where the rights of the hub's credentials are written down.
func (c *checker) policy() string {
	if c.settings.IoT.TokenExchange.URL != "" {
		return "the policy of Greengrass' token exchange role"
	}
	return "the policy of the role behind the role alias " + c.settings.IoT.RoleAlias
}

// withPolicy adds to a sentence that names a right where it is to be added.
func (c *checker) withPolicy(text string, err error) string {
	if !awserr.Of(err).RightMissing() {
		return text
	}
	return strings.TrimSuffix(text, ".") + " in " + c.policy() + "."
}

// denyOn adds that the hub's role lacks a right on the stream.
func (c *checker) denyOn(s *checkedStream, check, what, right string) {
	s.deny(check, right,
		fmt.Sprintf("The hub's role may not %s the stream %s: allow it %s on the stream in %s.", what, s.name, right, c.policy()),
		fmt.Sprintf("The hub's role may not %s the stream %s either.", what, s.name))
}

// secretRight is the right that is missing to read a secret; "" when something else is wrong.
func secretRight(err error) string {
	var fault *health.Fault
	if !errors.As(err, &fault) || fault.Code != secrets.CodeDenied || fault.Class != health.UserError {
		return ""
	}
	if strings.Contains(fault.Text, "kms:Decrypt") {
		return "kms:Decrypt"
	}
	return "secretsmanager:GetSecretValue"
}

// checkStreamRights tries what uploads of a stream need, none of which changes anything in the cloud.
func (c *checker) checkStreamRights(ctx context.Context, s *checkedStream) {
	const check = "rights"
	before := len(s.findings)
	defer c.questions.begin("Kinesis Video Streams, about the rights on stream " + s.name)()
	if s.wanted.Upload.FromTags || s.invalid {
		_, err := c.kvs.Tags(ctx, s.name)
		c.judge(s, "read the tags of", "kinesisvideo:ListTagsForStream", err)
	}
	media, err := c.kvs.DataEndpoint(ctx, s.name)
	allowed := c.judge(s, "find the endpoint for", "kinesisvideo:GetDataEndpoint", err)
	text := "The hub's role may upload the stream and read its tags."
	switch {
	case err != nil || !allowed:
	case c.mayRun:
		text = "The hub's role may find the stream's endpoint and read its tags; " +
			"kinesisvideo:PutMedia is not tried, as that would end the upload of the agent."
	default:
		c.judge(s, "upload", "kinesisvideo:PutMedia", c.tryMedia(ctx, s.name))
	}
	if err == nil && len(s.findings) == before {
		s.add(check, true, "%s", text)
	}
	var refused *health.Fault
	switch {
	case err == nil:
		s.add("host", true, "%s: %s (from %s).", endpoint.Media.Name, endpoint.Place{URL: media}.Host(), endpoint.Media.Variable)
	case errors.As(err, &refused) && refused.Code == endpoint.Code:
		s.add("host", false, "%s", refused.Text)
	}
}

// judge adds a finding when an answer says that a right is missing. It reports whether the right is there, for all
// that is known: other faults have findings of their own.
func (c *checker) judge(s *checkedStream, what, right string, err error) bool {
	var answer *kvs.RequestError
	if !errors.As(err, &answer) || !answer.Meaning.RightMissing() {
		return true
	}
	c.denyOn(s, "rights", what, answer.Meaning.Permission(right))
	return false
}

// tryMedia opens an upload without media and aborts it.
func (c *checker) tryMedia(ctx context.Context, stream string) error {
	ctx, cancel := context.WithTimeout(ctx, mediaTimeout)
	defer cancel()
	session, err := c.kvs.PutMedia(ctx, kvs.PutMediaInput{Stream: stream, Start: c.o.Now().Truncate(time.Millisecond)})
	if err == nil {
		session.Abort()
	}
	return err
}

// checkMetricsRight tries whether metrics would be taken, when they are to be sent.
func (c *checker) checkMetricsRight(ctx context.Context) {
	if !c.settings.CloudWatch {
		return
	}
	defer c.questions.begin("CloudWatch")()
	fault := cloudwatch.New(c.aws).Denied(ctx, metrics.Namespace)
	switch {
	case fault != nil && c.settings.MetricsOptional() && awserr.Of(fault).RightMissing():
		c.good("rights", fmt.Sprintf("The hub's role may not send metrics to CloudWatch, so there are none: the role of the edge connector "+
			"lacks that right, and nothing else needs it. To have them allow cloudwatch:PutMetricData in %s; else set CloudWatchEnabled (%s) to "+
			"FALSE.",
			c.policy(), settings.EnvCloudWatchEnabled))
		return
	case fault != nil:
		c.bad("rights", c.withPolicy(fault.Text, fault))
		return
	}
	c.good("rights", "The hub's role may send metrics.")
}
