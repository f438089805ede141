package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// EnvGreengrassRoot names the directory of AWS IoT Greengrass v2, as AWS's agent does.
const EnvGreengrassRoot = "GREENGRASS_ROOT_DIRECTORY"

const (
	// envGreengrassSocket is there in every component that Greengrass starts.
	envGreengrassSocket   = "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"
	defaultGreengrassRoot = "/greengrass/v2"
	greengrassConfig      = "config/effectiveConfig.yaml"
	nucleus               = "services/aws.greengrass.Nucleus/configuration/"
)

// greengrassSettings says where Greengrass has what the agent needs. Source: aws-greengrass-nucleus,
// README_CONFIG_SCHEMA and DeviceConfiguration.
var greengrassSettings = map[string]string{
	EnvThingName:          "system/thingName",
	EnvCoreCert:           "system/certificateFilePath",
	EnvCorePrivateKey:     "system/privateKeyPath",
	EnvCACert:             "system/rootCaPath",
	EnvRegion:             nucleus + "awsRegion",
	EnvRoleAlias:          nucleus + "iotRoleAlias",
	EnvCredentialEndpoint: nucleus + "iotCredEndpoint",
	EnvDataEndpoint:       nucleus + "iotDataEndpoint",
}

// withGreengrass completes the environment with the configuration of Greengrass, when the agent is
// told to or is one of its components. What is set in the environment counts first.
func withGreengrass(lookup func(string) (string, bool)) (full func(string) (string, bool), found bool, err error) {
	e := environment{lookup: lookup}
	root := e.optional(EnvGreengrassRoot, "")
	if root == "" && e.optional(envGreengrassSocket, "") != "" {
		root = defaultGreengrassRoot
	}
	if root == "" {
		return lookup, false, nil
	}
	path := filepath.Join(root, greengrassConfig)
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && e.optional(EnvThingName, "") != "":
		return lookup, false, nil // AWS's agent has the variable set without Greengrass, too
	case err != nil:
		return lookup, false, fmt.Errorf("%s: cannot read %s: %s", EnvGreengrassRoot, path, reason(err))
	}
	config := scalars(string(data))
	return func(name string) (string, bool) {
		if value := e.optional(name, ""); value != "" {
			return value, true
		}
		value := config[greengrassSettings[name]]
		value = strings.TrimPrefix(value, "file://") // of keys and certificates
		return value, value != ""
	}, true, nil
}

// scalars reads the single-line values of a YAML file in block style, as Greengrass writes it, by
// their paths. Whatever else is in the file is passed over.
func scalars(text string) map[string]string {
	type level struct {
		indent int
		path   string
	}
	values, levels := make(map[string]string), []level{{-1, ""}}
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		key, value, ok := strings.Cut(trimmed, ":")
		if !ok || strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, "- ") {
			continue
		}
		indent := len(line) - len(strings.TrimLeft(line, " "))
		for indent <= levels[len(levels)-1].indent {
			levels = levels[:len(levels)-1]
		}
		path := levels[len(levels)-1].path + unquoted(key)
		levels = append(levels, level{indent, path + "/"})
		if value = unquoted(value); value != "" {
			values[path] = value
		}
	}
	return values
}

func unquoted(text string) string {
	text = strings.TrimSpace(text)
	if n := len(text); n >= 2 && (text[0] == '"' || text[0] == '\'') && text[n-1] == text[0] {
		return text[1 : n-1]
	}
	return text
}
