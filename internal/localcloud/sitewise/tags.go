package sitewise

import (
	"maps"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewisemodel"
)

// maxTags is the number of tags of a resource. Source: SiteWise user guide, "Tag your AWS IoT SiteWise resources".
const maxTags = 50

// checkTags refuses keys that are reserved.
func checkTags(tags map[string]string) error {
	for key := range tags {
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return refused(sitewisemodel.InvalidRequest, "tags", "Keys of tags must not begin with aws:.")
		}
	}
	return nil
}

// tagged finds the model or asset of an ARN.
func (d State) tagged(arn string) (*resource, error) {
	for _, a := range d.Assets {
		if a.ARN == arn {
			return &a.resource, nil
		}
	}
	for _, m := range d.Models {
		if m.ARN == arn {
			return &m.resource, nil
		}
	}
	return nil, refused(sitewisemodel.ResourceNotFound, "resourceArn", "Resource %s not found.", arn)
}

type tagInput struct {
	ARN  string            `json:"resourceArn"`
	Tags map[string]string `json:"tags"`
	Keys []string          `json:"tagKeys"`
}

func (r request) tagResource(in tagInput) (any, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	return nil, r.update(func(d State) error {
		of, err := d.tagged(in.ARN)
		if err != nil {
			return err
		}
		all := maps.Clone(of.Tags)
		if all == nil {
			all = map[string]string{}
		}
		if maps.Copy(all, in.Tags); len(all) > maxTags {
			e := refused(sitewisemodel.TooManyTags, "tags", "A resource has at most %d tags.", maxTags)
			e.Members = map[string]string{"resourceName": in.ARN}
			return e
		}
		of.Tags = all
		return nil
	})
}

func (r request) untagResource(in tagInput) (any, error) {
	return nil, r.update(func(d State) error {
		of, err := d.tagged(in.ARN)
		if err != nil {
			return err
		}
		for _, key := range in.Keys {
			delete(of.Tags, key)
		}
		return nil
	})
}

func (r request) listTagsForResource(in tagInput) (any, error) {
	out := map[string]any{}
	err := r.view(func(d State) error {
		of, err := d.tagged(in.ARN)
		if err == nil && len(of.Tags) > 0 {
			out["tags"] = maps.Clone(of.Tags)
		}
		return err
	})
	return out, err
}
