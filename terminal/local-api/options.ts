/**
 * Options of the local API, as rows for the configuration schema. Data only.
 */
export const localApiOptions = [
  {
    key: 'enabled',
    type: 'boolean',
    default: true,
    help: 'Serve the local API on 127.0.0.1 for the till beside the box.',
  },
  { key: 'port', type: 'integer', default: 8411, min: 1, max: 65_535, help: 'TCP port of the local API on 127.0.0.1.' },
  {
    key: 'allowedOrigins',
    type: 'list',
    default: [],
    form: {
      pattern: /^https?:\/\/(?:[0-9a-z.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/,
      says: 'scheme, name and port, like https://till.example:8080',
    },
    help: 'Web origins whose pages may call the local API, like https://till.example; empty: none.',
  },
] as const;
