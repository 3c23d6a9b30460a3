import js from '@eslint/js';
import reactHooks from 'eslint-plugin-react-hooks';
import { defineConfig } from 'eslint/config';
import es from 'eslint-plugin-es-x';
import globals from 'globals';
import tseslint from 'typescript-eslint';

const injected = 'The client takes time, chance and sockets from its Environment, so that tests decide them.';
const layered = 'The client is a product of its own: it knows neither React nor the pages that use it.';

export default defineConfig(
  { ignores: ['dist'] },
  js.configs.recommended,
  {
    files: ['**/*.{ts,tsx}'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  {
    // The build lowers syntax for the baseline (README.md), and adds no methods: these are all that it has.
    files: ['src/**/*.{ts,tsx}'],
    ignores: ['**/*.test.{ts,tsx}', 'src/client/testing/**'],
    extends: [es.configs['flat/restrict-to-es2022']],
  },
  {
    files: ['public/**/*.js'],
    extends: [es.configs['flat/restrict-to-es5']],
    languageOptions: { globals: globals.browser },
  },
  { files: ['src/**/*.{ts,tsx}'], extends: [reactHooks.configs.flat['recommended-latest']] },
  { files: ['*.js', 'dev/*.js'], languageOptions: { globals: globals.node } },
  {
    files: ['src/client/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { group: ['react', 'react-dom', 'react/*', 'react-dom/*'], message: layered },
            { group: ['**/ui/**', '**/status/**'], message: layered },
          ],
        },
      ],
      'no-restricted-globals': [
        'error',
        ...['window', 'document', 'localStorage', 'location', 'fetch', 'WebSocket', 'Date', 'crypto'].map((name) => ({
          name,
          message: injected,
        })),
        ...['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval', 'queueMicrotask'].map((name) => ({
          name,
          message: injected,
        })),
      ],
      'no-restricted-properties': ['error', { object: 'Math', property: 'random', message: injected }],
    },
  },
  {
    files: ['src/ui/**/*.{ts,tsx}', 'src/status/**/*.{ts,tsx}'],
    ignores: ['src/ui/visit.ts', '**/*.test.tsx'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...['localStorage', 'sessionStorage'].map((name) => ({
          name,
          message: 'Where it is blocked it throws: memory.ts.',
        })),
      ],
    },
  },
  {
    files: ['src/client/browserEnvironment.ts'],
    rules: { 'no-restricted-globals': 'off', 'no-restricted-properties': 'off' },
  },
);
