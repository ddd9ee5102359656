// One script and one style sheet, so that a preview is a file that any browser opens without a server.
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { 'react-router-dom-v5-compat': 'react-router-dom' } },
  define: { 'process.env.NODE_ENV': '"production"' },
  build: {
    outDir: 'dist',
    assetsInlineLimit: 100000000,
    cssCodeSplit: false,
    chunkSizeWarningLimit: 20000,
    lib: { entry: 'src/main.jsx', formats: ['iife'], name: 'preview', fileName: () => 'preview.js' },
    rollupOptions: { output: { inlineDynamicImports: true, assetFileNames: 'preview[extname]' } },
  },
});
