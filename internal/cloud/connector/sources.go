package connector

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
)

// urlKey is the member of a secret that has the camera's URL. The component compares it without case.
const urlKey = "RTSPStreamURL"

// secretName is that of a camera's secret, as the component's script names it, but always the same for the same camera.
func secretName(hub, camera string) string {
	sum := sha256.Sum256([]byte(hub + "\x00" + camera))
	return "CameraSecret-" + hex.EncodeToString(sum[:6])
}

// secret makes the secret of a camera, or writes the camera's URL into it, and returns its ARN. In a dry run the ARN may be its name.
func (s *Setup) secret(ctx context.Context, hub string, c Camera) (arn string, err error) {
	name := secretName(hub, c.Name)
	content := map[string]any{}
	found, err := call(ctx, "secretsmanager:GetSecretValue", "the secret "+name, s.secrets.GetSecretValue,
		&secretsmanager.GetSecretValueInput{SecretId: &name})
	switch {
	case isKind(err, awserr.Unusable):
		return "", fmt.Errorf("the secret %s is marked for deletion, or has no value: restore it, or delete it at once, and try again", name)
	case err != nil && !isKind(err, awserr.NotFound):
		return "", err
	case err != nil:
		content[urlKey], arn = c.URL.Reveal(), name
		err = s.do("secret", name, "made, of camera "+shown(c.Name), func() (err error) {
			arn, err = s.makeSecret(ctx, name, c.Name, content)
			return err
		})
		return arn, err
	}
	arn = aws.ToString(found.ARN)
	// Other members stay; what is not an object of JSON is replaced.
	if json.Unmarshal([]byte(aws.ToString(found.SecretString)), &content) != nil || content == nil {
		content = map[string]any{}
	}
	key := urlKey
	for name := range content {
		if strings.EqualFold(name, urlKey) {
			key = name
		}
	}
	if content[key] == c.URL.Reveal() {
		s.note("secret", name, "exists, of camera "+shown(c.Name))
		return arn, nil
	}
	content[key] = c.URL.Reveal()
	return arn, s.do("secret", name, "given the URL of camera "+shown(c.Name), func() error {
		text, err := json.Marshal(content)
		if err != nil {
			return err
		}
		_, err = call(ctx, "secretsmanager:PutSecretValue", "the secret "+name, s.secrets.PutSecretValue,
			&secretsmanager.PutSecretValueInput{SecretId: &arn, SecretString: aws.String(string(text))})
		return err
	})
}

func (s *Setup) makeSecret(ctx context.Context, name, camera string, content map[string]any) (arn string, err error) {
	text, err := json.Marshal(content)
	if err != nil {
		return "", err
	}
	made, err := call(ctx, "secretsmanager:CreateSecret", "the secret "+name, s.secrets.CreateSecret,
		&secretsmanager.CreateSecretInput{Name: &name, SecretString: aws.String(string(text)),
			Description: aws.String("RTSP URL of the camera " + camera)})
	if err != nil {
		return "", err
	}
	return aws.ToString(made.ARN), nil
}

// stream makes the stream of a camera, and waits until it can be used.
func (s *Setup) stream(ctx context.Context, p Plan, c Camera) error {
	info, err := s.describeStream(ctx, c.Stream)
	if err == nil {
		if aws.ToInt32(info.DataRetentionInHours) == 0 {
			s.note("stream", c.Stream, "exists, but keeps no media (DataRetentionInHours is 0), so that the player has none to show")
		} else {
			s.note("stream", c.Stream, "exists")
		}
		if err := s.awaitStream(ctx, c.Stream); err != nil {
			return err
		}
		return s.tagStream(ctx, c.Stream, p.Workspace)
	}
	if !isKind(err, awserr.NotFound) {
		return err
	}
	in := kinesisvideo.CreateStreamInput{StreamName: &c.Stream, DataRetentionInHours: aws.Int32(int32(*p.RetentionHours))}
	if p.Workspace != "" {
		in.Tags = map[string]string{workspaceTag: p.Workspace}
	}
	return s.do("stream", c.Stream, fmt.Sprintf("made, with a retention of %d hours", *p.RetentionHours), func() error {
		_, err := call(ctx, "kinesisvideo:CreateStream", "stream "+c.Stream, s.kvs.CreateStream,
			&in)
		if err != nil {
			return err
		}
		return s.awaitStream(ctx, c.Stream)
	})
}

func (s *Setup) describeStream(ctx context.Context, name string) (*types.StreamInfo, error) {
	out, err := call(ctx, "kinesisvideo:DescribeStream", "stream "+name, s.kvs.DescribeStream,
		&kinesisvideo.DescribeStreamInput{StreamName: &name})
	if err != nil {
		return nil, err
	}
	return out.StreamInfo, nil
}

func (s *Setup) awaitStream(ctx context.Context, name string) error {
	if s.o.DryRun {
		return nil
	}
	return s.await(ctx, "stream "+name, func() (string, bool, error) {
		info, err := s.describeStream(ctx, name)
		if err != nil {
			return "", false, err
		}
		return string(info.Status), info.Status == types.StatusActive || info.Status == types.StatusUpdating, nil
	}, string(types.StatusDeleting))
}

// tagStream adds the workspace to the tag of a stream that exists.
func (s *Setup) tagStream(ctx context.Context, name, workspace string) error {
	if workspace == "" {
		return nil
	}
	in := kinesisvideo.ListTagsForStreamInput{StreamName: &name}
	has := ""
	for { // a stream has at most 50 tags
		out, err := call(ctx, "kinesisvideo:ListTagsForStream", "stream "+name, s.kvs.ListTagsForStream,
			&in)
		if err != nil {
			return err
		}
		if tag, ok := out.Tags[workspaceTag]; ok {
			has = tag
		}
		if aws.ToString(out.NextToken) == "" || aws.ToString(out.NextToken) == aws.ToString(in.NextToken) {
			break
		}
		in.NextToken = out.NextToken
	}
	with, err := withWorkspace(has, workspace)
	if err != nil || with == has {
		return err
	}
	return s.do("stream", name, "given the tag "+workspaceTag+"="+with, func() error {
		_, err := call(ctx, "kinesisvideo:TagStream", "stream "+name, s.kvs.TagStream,
			&kinesisvideo.TagStreamInput{StreamName: &name, Tags: map[string]string{workspaceTag: with}})
		return err
	})
}
