package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// EnvGreengrassRoot names the directory of AWS IoT Greengrass v2, as AWS's agent does.
const EnvGreengrassRoot = "GREENGRASS_ROOT_DIRECTORY"

// What Greengrass sets for every component that it starts.
// Source: AWS IoT Greengrass V2 Developer Guide, "Component environment variable reference".
const (
	envGreengrassSocket = "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"
	envGreengrassThing  = "AWS_IOT_THING_NAME"
	envGreengrassCACert = "GG_ROOT_CA_PATH"
	// EnvTokenExchange is where those find credentials that depend on aws.greengrass.TokenExchangeService.
	EnvTokenExchange      = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	envTokenExchangeToken = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
	envTokenExchangeFile  = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
)

const (
	defaultGreengrassRoot = "/greengrass/v2"
	greengrassConfig      = "config/effectiveConfig.yaml"
	nucleus               = "services/aws.greengrass.Nucleus/configuration/"
	nucleusLite           = "services/aws.greengrass.NucleusLite/configuration/"
	// liteDirectory is where the nucleus lite reads its configuration, and keeps no effective one that
	// others could read: config.yaml, then all files of config.d, each of which overrides the previous ones.
	// Source: aws-greengrass-lite, docs/SETUP.md.
	liteDirectory     = "/etc/greengrass"
	liteConfig        = "config.yaml"
	liteConfigs       = "config.d"
	fileScheme        = "file://" // of keys and certificates
	hardwareKeyScheme = "pkcs11:" // of a key that aws.greengrass.crypto.Pkcs11Provider holds
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
	endpoint.EnvFIPS:      nucleus + "fipsMode",
}

// greengrassVariables are what a component knows without that configuration, which only root may
// read; AWS_REGION is the same.
var greengrassVariables = map[string]string{EnvThingName: envGreengrassThing, EnvCACert: envGreengrassCACert}

// greengrass is what Greengrass provides to the agent.
type greengrass struct {
	found      bool
	exchange   iotcreds.TokenExchange // without a URL when the component does not depend on it
	unreadable string                 // why its configuration is not known; empty when it is
}

// withGreengrass completes the environment with the configuration of Greengrass, when a variable says so
// or the agent is one of its components. What is set in the environment takes precedence. lite is
// liteDirectory.
func withGreengrass(lookup func(string) (string, bool), lite string) (full func(string) (string, bool), g greengrass, err error) {
	e := environment{lookup: lookup}
	root := e.optional(EnvGreengrassRoot, "")
	component := e.optional(envGreengrassSocket, "") != ""
	if root == "" && component {
		root = defaultGreengrassRoot
	}
	if root == "" {
		return lookup, g, nil
	}
	if component {
		g.exchange = e.tokenExchange()
	}
	config, path, err := greengrassValues(root, lite)
	if mode, ok := config[greengrassSettings[endpoint.EnvFIPS]]; ok {
		config[greengrassSettings[endpoint.EnvFIPS]] = strconv.FormatBool(isTrue(mode))
	}
	switch {
	case err != nil && g.exchange.URL != "":
		g.unreadable = fmt.Sprintf("cannot read %s: %s", path, health.Reason(err))
	case errors.Is(err, fs.ErrNotExist) && e.optional(EnvThingName, "") != "":
		return lookup, greengrass{}, nil // AWS's agent has the variable set without Greengrass, too
	case err != nil:
		return lookup, greengrass{}, fmt.Errorf("%s: cannot read %s: %s", EnvGreengrassRoot, path, health.Reason(err))
	}
	g.found = true
	return func(name string) (string, bool) {
		value := e.optional(name, "")
		if value == "" {
			value = strings.TrimPrefix(config[greengrassSettings[name]], fileScheme)
		}
		if variable := greengrassVariables[name]; value == "" && variable != "" {
			value = e.optional(variable, "")
		}
		return value, value != ""
	}, g, nil
}

// tokenExchange is the token exchange service that the environment names.
func (e *environment) tokenExchange() iotcreds.TokenExchange {
	return iotcreds.TokenExchange{URL: e.optional(EnvTokenExchange, ""), Token: secret.New(e.optional(envTokenExchangeToken, "")),
		TokenFile: e.optional(envTokenExchangeFile, "")}
}

// isTrue takes a boolean as Greengrass does, for which every other text is false.
// Source: aws-greengrass-nucleus, Coerce.toBoolean.
func isTrue(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n != 0 || slices.Contains([]string{"true", "yes", "on", "t", "y"}, strings.ToLower(text))
}

// greengrassValues reads the configuration of the nucleus, or of the nucleus lite where there is no
// other. path is the file that an error is about.
func greengrassValues(root, lite string) (values map[string]string, path string, err error) {
	path = filepath.Join(root, greengrassConfig)
	data, err := os.ReadFile(path)
	if err == nil {
		return scalars(string(data)), path, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, path, err
	}
	files := []string{filepath.Join(lite, liteConfig)}
	fragments, _ := os.ReadDir(filepath.Join(lite, liteConfigs)) // sorted; none when there is no such directory
	for _, f := range fragments {
		if !f.IsDir() {
			files = append(files, filepath.Join(lite, liteConfigs, f.Name()))
		}
	}
	for _, file := range files {
		data, liteErr := os.ReadFile(file)
		if errors.Is(liteErr, fs.ErrNotExist) {
			continue
		}
		if liteErr != nil {
			return nil, file, liteErr
		}
		if values == nil {
			values = make(map[string]string)
		}
		for key, value := range scalars(string(data)) {
			if setting, ofLite := strings.CutPrefix(key, nucleusLite); ofLite {
				key = nucleus + setting
			}
			values[key] = value
		}
	}
	if values == nil {
		return nil, path, err
	}
	return values, path, nil
}

// noKey says why the device's certificate cannot be used, empty when it can. Components run as a
// user who may not read the core's key, unless they are privileged, and a key in hardware is
// nobody's to read.
func (g greengrass) noKey(cert, key string) string {
	switch {
	case strings.HasPrefix(key, hardwareKeyScheme):
		return "the device's private key lies in hardware"
	case (cert == "" || key == "") && g.unreadable != "":
		return g.unreadable
	case cert == "" || key == "":
		return "no certificate with a private key is set"
	}
	for _, path := range []string{cert, key} {
		if f, err := os.Open(path); err != nil {
			return fmt.Sprintf("cannot read %s: %s", path, health.Reason(err))
		} else {
			_ = f.Close()
		}
	}
	return ""
}

// scalars reads the single-line values of a YAML file in block style, as Greengrass writes it, by
// their paths. Everything else in the file is skipped.
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

// unquoted takes quotes away, and a comment behind the value.
func unquoted(text string) string {
	text = strings.TrimSpace(text)
	if text != "" && (text[0] == '"' || text[0] == '\'') {
		if inner, rest, closed := strings.Cut(text[1:], text[:1]); closed && (rest == "" || strings.HasPrefix(strings.TrimSpace(rest), "#")) {
			return inner
		}
		return text
	}
	if strings.HasPrefix(text, "#") {
		return ""
	}
	text, _, _ = strings.Cut(text, " #")
	return strings.TrimSpace(text)
}
